"""The promises of every model, and of the options of DIEN and DSIN."""

import keras
import numpy as np
import pytest

from kseq.agreement.computation import dtype_scope
from kseq.agreement.tables import tolerance
from kseq.models import DSIN
from tests.models.examples import (
    BATCH,
    BY_NAME,
    CANDIDATE,
    CLICKS,
    EXAMPLES,
    SIZES,
    STEPS,
    arrays,
    make,
    predict,
    sequences,
    tags,
)
from tests.support import assert_close, once, skip_left_out, to_numpy

# As in DeepCTR, DSIN includes padding without mask_padding.
INERT_PADDING = [e for e in EXAMPLES if e.name != "DSIN-bias"]
# One of each kind, for tests that compile.
KINDS = ("DIN", "DIEN-GRU", "DIEN-AUGRU-negatives", "DSIN", "BST")
ONE_OF_EACH = [BY_NAME[name] for name in KINDS]
BACKEND = keras.backend.backend()


def each(examples, on_one_backend=()):
    param = {False: pytest.param, True: once}
    return pytest.mark.parametrize(
        "example",
        [param[e.name in on_one_backend](e, id=e.name) for e in examples],
    )


@pytest.fixture(scope="module")
def models():
    """One model of each example; tests must not change the weights."""
    return {example.name: example.make() for example in EXAMPLES}


def values(model):
    return {w.path: to_numpy(w.value).copy() for w in model.weights}


def train(model, features):
    """Return the loss of a step of training."""
    if not model.compiled:
        # XLA compiles TensorFlow's loops of DSIN for longer than they take.
        xla = (BACKEND, model.name) != ("tensorflow", "DSIN")
        jit = "auto" if xla else False
        model.compile("adam", "binary_crossentropy", jit_compile=jit)
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


@each(ONE_OF_EACH, ["DIEN-GRU"])
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


@pytest.mark.once
@each(EXAMPLES)
def test_saves_and_loads(example, models, tmp_path):
    model = models[example.name]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.name == model.name == example.build.__name__
    assert [x.name for x in loaded.inputs] == [x.name for x in model.inputs]
    assert [*values(loaded)] == [*values(model)]
    np.testing.assert_array_equal(predict(loaded), predict(model))


@each(INERT_PADDING, ["DIEN-GRU", "DIEN-AIGRU", "DIEN-AGRU", "BST"])
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
@each(ONE_OF_EACH, ["DIEN-GRU", "BST", "DSIN"])
def test_half_precision(example, models):
    with dtype_scope("mixed_float16"):
        model = example.make()
        assert model.output.dtype == "float32"
        limit = tolerance("forward", "float16").limit
        difference = predict(model) - predict(models[example.name])
        assert np.abs(difference).max() <= limit


@pytest.mark.once
@each(ONE_OF_EACH)
def test_seed_determines_initial_weights(example):
    first, again, other = (values(example.make(seed=s)) for s in (1, 1, 2))
    for path, value in first.items():
        np.testing.assert_array_equal(value, again[path])
        if "kernel" in path or "embeddings" in path:
            assert not np.array_equal(value, other[path]), path


@pytest.mark.once
@each(ONE_OF_EACH)
def test_dnn_options_and_penalties(example):
    batch_norm = "dnn_use_bn" if example.name in ("DIN", "DSIN") else "use_bn"
    options = {"dnn_dropout": 0.5, "dnn_activation": "selu", batch_norm: True}
    options |= {"l2_reg_dnn": 0.5, "embedding_layer": keras.layers.Embedding}
    model = example.make(l2_reg_embedding=0.25, **options)
    dnn = model.get_layer("dnn")
    assert dnn.dropout_rate == 0.5
    assert len(dnn.bn_layers) == 2
    assert dnn.get_config()["activation"] == "selu"
    expected = 0.0
    for path, value in values(model).items():
        squares = np.square(value).sum(dtype="float64")
        if path.endswith("/embeddings"):
            expected += 0.25 * squares
        elif path.startswith("dnn/kernel"):
            expected += 0.5 * squares
    total = sum(float(to_numpy(loss)) for loss in model.losses)
    np.testing.assert_allclose(total, expected, rtol=1e-5)
    assert example.make(l2_reg_embedding=0.0).losses == []


NEGATIVES = BY_NAME["DIEN-AUGRU-negatives"]


@pytest.mark.once
@pytest.mark.parametrize("gru_type", ["GRU", "AIGRU", "AUGRU"])
def test_negatives_change_no_prediction(gru_type):
    model = NEGATIVES.make(gru_type=gru_type)
    zeros = {n: x * 0 for n, x in arrays().items() if n.startswith("neg_")}
    changed = predict(model, arrays() | zeros)
    np.testing.assert_array_equal(changed, predict(model))


@pytest.mark.once
def test_auxiliary_loss_excludes_padding_and_is_saved(tmp_path):
    model = NEGATIVES.make()
    model.compile("sgd", "binary_crossentropy", run_eagerly=True)
    expected = model.evaluate(arrays(), CLICKS, verbose=0)
    histories = {n: x for n, x in arrays().items() if "hist_" in n}
    other = arrays() | {n: np.where(x, x, 3) for n, x in histories.items()}
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for m, x in ((model, other), (loaded, arrays())):
        got = m.evaluate(x, CLICKS, verbose=0)
        assert got == pytest.approx(expected, rel=1e-6)
    others = {n: x[::-1] if "neg_" in n else x for n, x in arrays().items()}
    got = model.evaluate(others, CLICKS, verbose=0)
    assert got != pytest.approx(expected, rel=1e-6)


def test_auxiliary_loss_is_part_of_the_loss():
    skip_left_out("fit")
    losses = {}
    for alpha in (0.5, 1.0):
        model = NEGATIVES.make(alpha=alpha, l2_reg_embedding=0)
        model.compile("sgd", "binary_crossentropy")
        total = model.evaluate(arrays(), CLICKS, verbose=0)
        p = predict(model)[:, 0].astype("float64")
        click = -np.log(np.where(CLICKS == 1, p, 1 - p)).mean()
        (loss,) = model.losses
        losses[alpha] = float(to_numpy(loss))
        np.testing.assert_allclose(total, click + losses[alpha], rtol=1e-5)
    np.testing.assert_allclose(losses[1.0], 2 * losses[0.5], rtol=1e-5)


def make_dsin(*others, **options):
    sessions = sequences("sess_0_") + sequences("sess_1_")
    options |= {"sess_max_count": 2, "dnn_hidden_units": (4,)}
    return make(DSIN, *sessions, *others, **options)


def change(model, before, **changed):
    """The largest change of a prediction when inputs change."""
    given = arrays() | before
    return np.abs(predict(model, given | changed) - predict(model, given)).max()


@pytest.mark.once
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("mask_padding", [False, True])
def test_mask_padding_excludes_padding(bias, mask_padding):
    model = make_dsin(bias_encoding=bias, mask_padding=mask_padding)
    # Without it padded sessions reach the LSTM's backward direction.
    ids = arrays()["sess_1_item"]
    other = np.where(ids > 0, SIZES["item"] - ids, 0)
    one = {"sess_length": np.full(len(ids), 1)}
    moved = change(model, one, sess_1_item=other)
    assert moved == 0.0 if mask_padding else moved > 1e-5
    before = predict(model)
    fill_padding(model, 1.0)
    moved = np.abs(predict(model) - before)[:, 0]
    # The first row has sessions of 4 and 2 steps.
    assert np.all(moved == 0.0) if mask_padding else moved[0] > 1e-4


@pytest.mark.once
def test_other_sequences_are_ignored_with_a_warning():
    with pytest.warns(UserWarning, match=r"ignores \['tags'\].*pool_others"):
        model = make_dsin(tags())
    assert change(model, {}, tags=arrays()["tags"][::-1]) == 0
    model = make_dsin(tags(), pool_others=True)
    assert change(model, {}, tags=arrays()["tags"][::-1]) > 1e-4
