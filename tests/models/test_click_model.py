"""The inputs and targets that DeepCTR's scripts pass to a model."""

import keras
import pytest

from kseq.feature_column import get_feature_names
from tests.layers.checks import assert_close, skip_left_out
from tests.models.examples import (
    BY_NAME,
    CLICKS,
    arrays,
    columns,
    inputs_of,
    predict,
)

# "seq_length", in the middle, is not an input of DIN, which uses id 0.
NAMES = get_feature_names(columns())
LIST = [arrays()[name] for name in NAMES]
SHORT = {**arrays(), "hist_item": arrays()["hist_item"][:, :-1]}


@pytest.fixture
def din():
    model = BY_NAME["DIN"].make()
    assert {*NAMES} - {x.name for x in model.inputs} == {"seq_length"}
    return model


def test_predict_takes_lists_and_dicts(din, tmp_path):
    def check(x):
        assert_close(din.predict(x, verbose=0), expected)

    # Not an eager call: OpenVINO's `predict` may use a lower precision.
    expected = din.predict(inputs_of(din), verbose=0)
    check(LIST)
    check(tuple(LIST))
    check([*inputs_of(din).values()])
    check(arrays() | {"label": CLICKS})
    din.save(tmp_path / "din.keras")
    din = keras.saving.load_model(tmp_path / "din.keras")
    check(LIST)


def test_fit_and_evaluate_take_lists(din):
    skip_left_out("fit")
    din.compile("adam", "binary_crossentropy")
    history = din.fit(
        LIST, CLICKS, validation_data=(LIST, CLICKS), verbose=0
    ).history
    loss = din.evaluate(LIST, CLICKS, verbose=0)
    assert loss == pytest.approx(history["val_loss"][0])
    assert din.evaluate(arrays(), CLICKS, verbose=0) == loss


WRONG = [
    (
        [SHORT[name] for name in NAMES],
        r"^hist_item: expected shape \(None, 4\)",
    ),
    (SHORT, r"^hist_item: expected .*; received shape \(5, 3\)"),
    ({"item": LIST[1]}, "^x: expected all of .*; received none of .*'hist_"),
    (LIST[:-2], "^x: expected a list of .*'tags'"),
]


@pytest.mark.parametrize("method", ["predict", "fit", "evaluate"])
def test_wrong_inputs_raise_and_keep_the_weights(din, method):
    """Also after TensorFlow has traced a loop, and on JAX."""
    targets = {} if method == "predict" else {"y": CLICKS}
    if targets:
        skip_left_out("fit")
        din.compile("sgd", "binary_crossentropy")
    call = getattr(din, method)
    call(LIST, **targets, verbose=0)
    expected = predict(din)
    for x, message in WRONG:
        with pytest.raises(ValueError, match=message):
            call(x, **targets, verbose=0)
    assert_close(predict(din), expected)


def test_targets_may_be_a_row_or_a_column(din):
    skip_left_out("fit")
    metrics = ["binary_crossentropy", "auc"]

    def evaluate(y):
        din.compile("sgd", "binary_crossentropy", metrics=metrics)
        return din.evaluate(LIST, y, verbose=0, return_dict=True)

    row, column = evaluate(CLICKS), evaluate(CLICKS[:, None])
    assert row == column
    assert row.keys() == {"loss", *metrics}
