"""The promises that every model keeps."""

import keras
import numpy as np
import pytest

from kseq.agreement.measure import dtype_scope
from kseq.agreement.tables import left_out, tolerance
from tests.arrays import to_numpy
from tests.layers.checks import assert_close, skip_left_out
from tests.models.examples import (
    BATCH,
    BY_NAME,
    CANDIDATE,
    CLICKS,
    EXAMPLES,
    STEPS,
    arrays,
    predict,
)

DIN = BY_NAME["DIN"]
# As in DeepCTR, DSIN includes padding without mask_padding.
INERT_PADDING = [e for e in EXAMPLES if e.name != "DSIN-bias"]
# One of each kind, for tests that compile.
KINDS = ("DIN", "DIEN-GRU", "DIEN-AUGRU-negatives", "DSIN", "BST")
ONE_OF_EACH = [BY_NAME[name] for name in KINDS]


def each(examples):
    return pytest.mark.parametrize("example", examples, ids=lambda e: e.name)


@pytest.fixture(scope="module")
def models():
    """One model of each example; tests must not change the weights."""
    return {example.name: example.make() for example in EXAMPLES}


def values(model):
    return {w.path: to_numpy(w.value).copy() for w in model.weights}


def train(model, features):
    """Return the loss of a step of training."""
    if not model.compiled:
        model.compile("adam", "binary_crossentropy")
    return model.fit(features, CLICKS, verbose=0).history["loss"][-1]


def has_padding(path):
    return path.endswith("/embeddings") and "user" not in path


def fill_padding(model, number):
    """Set the embeddings of id 0, where this is padding."""
    for weight in model.weights:
        if has_padding(weight.path):
            table = to_numpy(weight.value).copy()
            table[0] = number
            weight.assign(table)


@each(ONE_OF_EACH)
def test_fit_trains_every_weight_and_ignores_padding(example):
    skip_left_out("fit")
    model = example.unknown_steps(l2_reg_embedding=0)
    fill_padding(model, np.nan)
    before = values(model)
    assert np.isfinite(train(model, arrays()))
    after = values(model)
    for weight in model.trainable_weights:
        # A softmax is not changed by a bias that is added to all scores.
        if not weight.path.endswith("activation_unit/bias"):
            pair = before[weight.path], after[weight.path]
            assert not np.array_equal(*pair, equal_nan=True), weight.path
    # All histories empty.
    empty = {n: np.zeros_like(x) for n, x in arrays().items()}
    empty |= {name: arrays()[name] for name in CANDIDATE}
    assert np.isfinite(train(model, empty))
    for path, value in values(model).items():
        value = value[1:] if has_padding(path) else value
        assert np.all(np.isfinite(value)), path


@each(EXAMPLES)
def test_saves_and_loads(example, models, tmp_path):
    model = models[example.name]
    assert model.name == example.build.__name__
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.name == model.name
    assert [x.name for x in loaded.inputs] == [x.name for x in model.inputs]
    assert [*values(loaded)] == [*values(model)]
    np.testing.assert_array_equal(predict(loaded), predict(model))


@each(INERT_PADDING)
def test_padding_is_inert(example):
    """Neither its values nor its amount changes a prediction.

    One history is empty; `assert_close` requires finite predictions.
    """
    model = example.unknown_steps()
    expected = predict(model)
    assert expected.shape == (BATCH, 1)
    assert np.ptp(expected) > 0
    fill_padding(model, np.nan)
    assert_close(predict(model, arrays(STEPS + 3)), expected)
    # The last rows have at most two valid steps.
    short = {
        name: x[3:, :2] if x.shape[1:] == (STEPS,) else x[3:]
        for name, x in arrays().items()
    }
    assert_close(predict(model, short), expected[3:])


# Keras's NumPy backend computes sigmoid as 1 / (1 + inf).
@pytest.mark.filterwarnings("ignore:overflow encountered in exp")
@each(ONE_OF_EACH)
def test_half_precision(example, models):
    with dtype_scope("mixed_float16"):
        model = example.make()
        assert model.output.dtype == "float32"
        limit = tolerance("forward", "float16").limit
        difference = predict(model) - predict(models[example.name])
        assert np.abs(difference).max() <= limit
        trains = example.name in ("DIN", "DIEN-AUGRU-negatives")
        backend = keras.backend.backend()
        if trains and left_out(backend, "fit", "float16") is None:
            assert np.isfinite(train(model, arrays()))


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_output_of_each_task(task):
    model = DIN.make(task=task)
    model.get_layer("prediction_layer").global_bias.assign([3.0])
    logit = keras.Model(model.inputs, model.get_layer("dense").output)
    expected = predict(logit) + 3.0
    if task == "binary":
        expected = 1 / (1 + np.exp(-expected))
    assert_close(predict(model), expected)


@pytest.mark.once
def test_seed_determines_initial_weights():
    def kernel(seed):
        model = DIN.build(DIN.columns(), CANDIDATE, seed=seed)
        return to_numpy(model.get_layer("dnn").kernels[0].value)

    np.testing.assert_array_equal(kernel(1), kernel(1))
    assert not np.array_equal(kernel(1), kernel(2))


@pytest.mark.once
@each(ONE_OF_EACH)
def test_dnn_options(example):
    batch_norm = "dnn_use_bn" if example.name in ("DIN", "DSIN") else "use_bn"
    dnn = example.make(
        dnn_dropout=0.5, dnn_activation="selu", **{batch_norm: True}
    ).get_layer("dnn")
    assert dnn.dropout_rate == 0.5
    assert len(dnn.bn_layers) == 2
    assert dnn.get_config()["activation"] == "selu"


def test_l2_penalties():
    assert DIN.make(l2_reg_embedding=0.0).losses == []
    model = DIN.make(l2_reg_embedding=0.25, l2_reg_dnn=0.5)
    expected = 0.0
    for path, value in values(model).items():
        if path.endswith("/embeddings"):
            expected += 0.25 * np.square(value).sum(dtype="float64")
        elif path.startswith("dnn/kernel"):
            expected += 0.5 * np.square(value).sum(dtype="float64")
    total = sum(float(to_numpy(loss)) for loss in model.losses)
    np.testing.assert_allclose(total, expected, rtol=1e-5)
