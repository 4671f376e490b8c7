"""What every model promises."""

import keras
import numpy as np
import pytest

from kseq.agreement.measure import dtype_scope
from kseq.agreement.numbers import seed_weights
from kseq.agreement.tables import left_out, tolerance
from tests.arrays import to_numpy
from tests.layers.checks import assert_close, skip_left_out
from tests.models.examples import (
    BATCH,
    BY_NAME,
    EXAMPLES,
    STEPS,
    arrays,
    inputs_of,
    names,
    predict,
)

# DeepCTR's DSIN counts a session's padding.
WITH_INERT_PADDING = [e for e in EXAMPLES if e.name != "DSIN-bias"]
CLICKS = np.arange(BATCH) % 2
# One of each kind, for what takes compiling.
ONE_OF_EACH = [
    BY_NAME[name]
    for name in ("DIN", "DIEN-GRU", "DIEN-AUGRU-negatives", "DSIN", "BST")
]
every_model = pytest.mark.parametrize("example", EXAMPLES, ids=names(EXAMPLES))
one_of_each = pytest.mark.parametrize(
    "example", ONE_OF_EACH, ids=names(ONE_OF_EACH)
)
inert_padding = pytest.mark.parametrize(
    "example", WITH_INERT_PADDING, ids=names(WITH_INERT_PADDING)
)


@pytest.fixture(scope="module")
def made():
    """Each example's model, made once: tests must not change its weights."""
    return {example.name: example.make() for example in EXAMPLES}


def values(model):
    return {w.path: to_numpy(w.value) for w in model.weights}


def train(model, given=None, **options):
    """The loss of one step; the model is compiled as users compile it."""
    if not model.compiled:
        model.compile("adam", "binary_crossentropy")
    inputs = inputs_of(model, given)
    history = model.fit(inputs, CLICKS, verbose=0, **options)
    return history.history["loss"][-1]


def fill_padding(model, number):
    """Put a number into the embeddings of id 0, where 0 means padding."""
    for weight in model.weights:
        if has_padding(weight.path):
            table = to_numpy(weight.value).copy()
            table[0] = number
            weight.assign(table)


def has_padding(path):
    return path.endswith("/embeddings") and "user" not in path


EMPTY = {
    name: np.zeros_like(x)
    if name.startswith(("hist_", "neg_hist_", "sess_", "seq_", "tags"))
    else x
    for name, x in arrays().items()
}


@one_of_each
def test_fit_trains_every_weight_whatever_the_padding(example):
    skip_left_out("fit")
    model = example.unknown_steps(l2_reg_embedding=0)
    fill_padding(model, np.nan)
    before = values(model)
    assert np.isfinite(train(model))
    after = values(model)
    still = {
        w.path
        for w in model.trainable_weights
        if np.array_equal(before[w.path][1:], after[w.path][1:])
        and np.array_equal(before[w.path][:1], after[w.path][:1])
    }
    # A softmax passes over what is added to all scores.
    assert not {p for p in still if not p.endswith("activation_unit/bias")}
    assert np.isfinite(train(model, EMPTY))
    for path, value in values(model).items():
        value = value[1:] if has_padding(path) else value
        assert np.all(np.isfinite(value)), path


@pytest.mark.parametrize("name", ["DIN", "DIEN-AGRU"])
def test_trains_on_any_number_of_steps(name):
    skip_left_out("fit")
    model = BY_NAME[name].unknown_steps()
    for steps in (STEPS, STEPS + 3):
        assert np.isfinite(train(model, arrays(steps)))


@every_model
def test_saves_and_loads(example, made, tmp_path):
    model = made[example.name]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert [i.name for i in loaded.inputs] == [i.name for i in model.inputs]
    np.testing.assert_array_equal(predict(loaded), predict(model))


@every_model
def test_is_made_again_alike(example, made):
    """Paths of weights are stable: weights are loaded and placed by them."""
    model, again = made[example.name], example.make()
    config = type(model).from_config(model.get_config())
    for other in (again, config):
        assert other.name == model.name == example.build.__name__
        assert list(values(other)) == list(values(model))
    assert not any(path[-2:-1] == "_" for path in values(model))


@pytest.mark.parametrize("name", ["DIN", "DIEN-AGRU"])
def test_takes_a_list_and_single_examples(name, made):
    model = made[name]
    expected = predict(model)
    assert expected.shape == (BATCH, 1)
    assert np.ptp(expected) > 0
    given = inputs_of(model)
    single = {name: x[:1] for name, x in given.items()}
    assert_close(to_numpy(model(single)), expected[:1])
    if keras.backend.backend() != "openvino":
        # Its `predict` may compute float32 by bfloat16 instructions.
        assert_close(model.predict(given, verbose=0), expected)
    assert_close(to_numpy(model(list(given.values()))), expected)
    more = arrays() | {"label": CLICKS}
    assert_close(to_numpy(model(more)), expected)


@inert_padding
def test_padding_changes_nothing(example):
    """Neither what stands there nor how many steps of it there are."""
    model = example.unknown_steps()
    expected = predict(model)
    fill_padding(model, np.nan)
    assert_close(predict(model, arrays(STEPS + 3)), expected)


@every_model
def test_empty_histories_are_finite(example, made):
    assert np.all(np.isfinite(predict(made[example.name], EMPTY)))


# Keras's NumPy backend has no sigmoid that is safe from overflow: 1/(1 + inf).
@pytest.mark.filterwarnings("ignore:overflow encountered in exp")
@one_of_each
def test_half_precision(example, made):
    with dtype_scope("mixed_float16"):
        model = example.make()
        assert model.output.dtype == "float32"
        got = predict(model)
        limit = tolerance("forward", "float16").limit
        assert np.abs(got - predict(made[example.name])).max() <= limit
        if left_out(keras.backend.backend(), "fit", "float16") is None:
            assert np.isfinite(train(model))


@pytest.mark.parametrize("example", EXAMPLES[:2], ids=names(EXAMPLES[:2]))
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_the_task_decides_what_the_output_is(example, task, made):
    model = example.make(task=task)
    (bias,) = (w for w in model.weights if w.name == "global_bias")
    bias.assign([3.0])
    logit = keras.Model(model.inputs, model.get_layer("dense").output)
    expected = predict(logit) + 3.0
    if task == "binary":
        expected = 1 / (1 + np.exp(-expected))
    assert_close(predict(model), expected)


def test_equal_seeds_begin_alike_and_others_do_not():
    def kernel(seed):
        model = EXAMPLES[0].build(
            EXAMPLES[0].columns(), ["item", "cate"], seed=seed
        )
        return to_numpy(model.get_layer("dnn").kernels[0].value)

    np.testing.assert_array_equal(kernel(1), kernel(1))
    assert not np.array_equal(kernel(1), kernel(2))


def test_dropout_and_batch_normalisation_reach_the_net():
    model = EXAMPLES[0].make(dnn_dropout=0.5, dnn_use_bn=True)
    dnn = model.get_layer("dnn")
    assert dnn.dropout_rate == 0.5
    assert len(dnn.bn_layers) == 2
    seed_weights(model)
    assert np.all(np.isfinite(predict(model)))


def test_penalties_are_those_of_tables_and_kernels():
    weak = EXAMPLES[0].make(l2_reg_embedding=0.0)
    assert weak.losses == []
    model = EXAMPLES[0].make(l2_reg_embedding=0.25, l2_reg_dnn=0.5)
    expected = 0.0
    for path, value in values(model).items():
        if path.endswith("/embeddings"):
            expected += 0.25 * np.square(value).sum(dtype="float64")
        elif path.startswith("dnn/kernel"):
            expected += 0.5 * np.square(value).sum(dtype="float64")
    total = sum(float(to_numpy(loss)) for loss in model.losses)
    np.testing.assert_allclose(total, expected, rtol=1e-5)


def test_targets_may_be_a_row_or_a_column():
    skip_left_out("fit")
    losses = []
    for clicks in (CLICKS, CLICKS[:, None]):
        model = BY_NAME["DIN"].make()
        seed_weights(model)
        model.compile("sgd", "binary_crossentropy", metrics=["auc"])
        told = model.evaluate(
            inputs_of(model), clicks, verbose=0, return_dict=True
        )
        losses.append(told)
    assert losses[0] == losses[1]
    assert losses[0].keys() == {"loss", "auc"}
