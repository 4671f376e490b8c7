"""What DeepCTR's scripts give a model, and Keras 3 alone would refuse."""

import keras
import numpy as np
import pytest

from kseq.feature_column import get_feature_names
from tests.layers.checks import assert_close, skip_left_out
from tests.models.examples import BY_NAME, arrays, columns, predict

# DIN goes by id 0, and has no input for the lengths, which stand in the middle.
NAMES = get_feature_names(columns())
LIST = [arrays()[name] for name in NAMES]
CLICKS = np.arange(len(LIST[0])) % 2


@pytest.fixture
def din():
    model = BY_NAME["DIN"].make()
    assert {*NAMES} - {x.name for x in model.inputs} == {"seq_length"}
    assert NAMES[-1] != "seq_length"
    return model


def called(model, given):
    return keras.ops.convert_to_numpy(model(given))


def test_a_list_may_have_what_is_no_input(din):
    expected = predict(din)
    assert_close(called(din, LIST), expected)
    assert_close(called(din, tuple(LIST)), expected)


def test_fit_and_predict_take_the_same_list(din):
    skip_left_out("fit")
    din.compile("adam", "binary_crossentropy")
    din.fit(LIST, CLICKS, verbose=0)
    assert_close(din.predict(LIST, verbose=0), predict(din))


def test_so_does_a_model_that_was_saved(din, tmp_path):
    din.save(tmp_path / "din.keras")
    loaded = keras.saving.load_model(tmp_path / "din.keras")
    assert_close(called(loaded, LIST), predict(din))


@pytest.mark.parametrize("change", [LIST[:-2], [*LIST, LIST[0]]])
def test_a_list_of_another_length_is_refused(din, change):
    with pytest.raises(ValueError, match=f"received {len(change)} input"):
        din(change)


def test_a_model_that_takes_all_has_the_config_that_keras_knows():
    bst = BY_NAME["BST"].make()
    again = keras.Model.from_config(bst.get_config())
    assert [x.name for x in again.inputs] == NAMES


@pytest.mark.parametrize("suffix", [".h5", ".hdf5"])
def test_a_file_that_would_not_load_is_not_written(din, tmp_path, suffix):
    place = tmp_path / f"din{suffix}"
    with pytest.raises(ValueError, match=r"^filepath: expected .* \.keras"):
        din.save(place)
    assert not place.exists()


def shorter(kind):
    given = {**arrays(), "hist_item": arrays()["hist_item"][:, :-1]}
    return given if kind is dict else [given[name] for name in NAMES]


@pytest.mark.parametrize("how", ["__call__", "predict_on_batch"])
@pytest.mark.parametrize("kind", [dict, list])
def test_histories_of_another_length_are_refused(din, how, kind):
    # An older Keras says "Input 4" for its name.
    with pytest.raises(ValueError, match=r"expected shape"):
        getattr(din, how)(shorter(kind))


@pytest.mark.parametrize("how", ["predict", "fit", "evaluate"])
def test_and_so_they_are_after_others_were_seen(din, how):
    """TensorFlow would take them then, as of any length."""
    further = {} if how == "predict" else {"y": CLICKS}
    if further:
        skip_left_out("fit")
        din.compile("adam", "binary_crossentropy")
    getattr(din, how)(LIST, **further, verbose=0)
    for kind in (dict, list):
        with pytest.raises(
            ValueError, match=r"^hist_item: expected shape \(None, "
        ):
            getattr(din, how)(shorter(kind), **further, verbose=0)


def wrong():
    """A batch that no model takes: it has no histories."""
    return {"item": arrays()["item"]}


def test_predict_that_is_refused_leaves_the_weights(din):
    expected = predict(din)
    with pytest.raises(ValueError, match=r"structure|Missing data"):
        din.predict(wrong(), verbose=0)
    assert_close(predict(din), expected)


def test_evaluate_that_is_refused_leaves_the_weights(din):
    skip_left_out("fit")
    din.compile("adam", "binary_crossentropy")
    expected = predict(din)
    before = din.evaluate(LIST, CLICKS, verbose=0)  # built: now it may fail
    with pytest.raises(ValueError, match=r"structure|Missing data"):
        din.evaluate(wrong(), CLICKS, verbose=0)
    assert_close(predict(din), expected)
    assert din.evaluate(LIST, CLICKS, verbose=0) == pytest.approx(before)


def test_a_later_batch_that_is_refused_leaves_the_weights(din):
    def batches():
        yield (arrays(),)
        yield (wrong(),)

    expected = predict(din)
    # On TensorFlow it is tf.data's own error.
    with pytest.raises(Exception, match=r"structure|Missing data|match"):
        din.predict(batches(), verbose=0)
    assert_close(predict(din), expected)
