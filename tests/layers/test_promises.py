"""What every layer promises, on every backend."""

import keras
import numpy as np
import pytest
from keras import ops

from kseq.layers.sequence import (
    AttentionSequencePoolingLayer,
    KMaxPooling,
    SequencePoolingLayer,
    WeightedSequenceLayer,
)
from tests.arrays import to_numpy

RNG = np.random.default_rng(5)
X = RNG.normal(size=(4, 5, 3)).astype("float32")
QUERY = RNG.normal(size=(4, 2, 3)).astype("float32")
WEIGHTS = RNG.normal(size=(4, 5)).astype("float32")
LENGTHS = np.array([5, 3, 1, 0], "int32")
PADDING = np.arange(5) >= LENGTHS[:, None]

LAYERS = {
    "sum": (lambda **k: SequencePoolingLayer("sum", **k), "x"),
    "mean": (lambda **k: SequencePoolingLayer("mean", **k), "x"),
    "max": (lambda **k: SequencePoolingLayer("max", **k), "x"),
    "weighted": (WeightedSequenceLayer, "weighted"),
    "k-max": (lambda **k: KMaxPooling(2, **k), "x"),
    "attention": (
        lambda **k: AttentionSequencePoolingLayer((4, 2), "dice", **k),
        "attention",
    ),
    "attention-softmax": (
        lambda **k: AttentionSequencePoolingLayer(
            (4, 2), weight_normalization=True, **k
        ),
        "attention",
    ),
}


def inputs(kind, x=X, lengths=LENGTHS):
    if kind == "weighted":
        return [x, lengths, WEIGHTS]
    return [QUERY, x, lengths] if kind == "attention" else [x, lengths]


@pytest.fixture(params=LAYERS)
def layer(request):
    make, kind = LAYERS[request.param]
    made = make()
    made.kind = kind
    return made


@pytest.mark.parametrize("filling", [np.nan, np.inf, -np.inf, 1e30])
def test_padding_is_inert(layer, filling):
    filled = np.where(PADDING[..., None], np.float32(filling), X)
    expected = to_numpy(layer(inputs(layer.kind)))
    got = to_numpy(layer(inputs(layer.kind, filled)))
    np.testing.assert_array_equal(got, expected)


def test_an_empty_history_gives_zeros(layer):
    out = to_numpy(layer(inputs(layer.kind)))
    assert np.all(out[3] == 0)
    assert np.any(out[0] != 0)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "float32"])
@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_lengths_of_any_dtype_and_shape(layer, dtype, shape):
    expected = to_numpy(layer(inputs(layer.kind)))
    given = LENGTHS.astype(dtype).reshape(shape)
    got = to_numpy(layer(inputs(layer.kind, lengths=given)))
    np.testing.assert_array_equal(got, expected)


def test_lengths_beyond_the_steps_are_clipped(layer):
    expected = to_numpy(layer(inputs(layer.kind)))
    given = np.array([99, 3, 1, -7], "int32")
    got = to_numpy(layer(inputs(layer.kind, lengths=given)))
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    "policy", ["mixed_float16", "mixed_bfloat16", "float16", "bfloat16"]
)
@pytest.mark.parametrize("name", LAYERS)
def test_half_precision_is_finite(name, policy):
    make, kind = LAYERS[name]
    out = to_numpy(ops.cast(make(dtype=policy)(inputs(kind)), "float32"))
    assert np.all(np.isfinite(out))


def test_float_lengths_keep_their_digits_in_half_precision():
    x = np.ones((1, 2049, 1), "float32")
    layer = SequencePoolingLayer("max", dtype="mixed_float16")
    x[0, 2048] = 2.0
    out = layer([x, np.array([[2049.0]], "float32")])
    assert float(to_numpy(ops.cast(out, "float32"))[0, 0, 0]) == 2.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SequencePoolingLayer("avg"), "mode: expected one of 'sum'"),
        (lambda: KMaxPooling(0), "k: expected a positive integer"),
        (lambda: KMaxPooling(9)(X), "k: expected at most the size 5"),
        (lambda: SequencePoolingLayer()(X), "expected lengths among"),
        (
            lambda: AttentionSequencePoolingLayer((4, -1)),
            "hidden_units: expected a sequence of positive integers",
        ),
        (
            lambda: SequencePoolingLayer()([X, LENGTHS[:2]]),
            "lengths: expected one for each",
        ),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", LAYERS)
def test_saves_and_loads(name, tmp_path):
    make, kind = LAYERS[name]
    arrays = inputs(kind)
    symbols = [
        keras.Input((None, *x.shape[2:]), dtype=str(x.dtype))
        if x.ndim > 1
        else keras.Input((), dtype=str(x.dtype))
        for x in arrays
    ]
    if kind == "attention":
        symbols[0] = keras.Input((2, 3))
    model = keras.Model(symbols, make()(symbols))
    expected = to_numpy(model(arrays))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(to_numpy(loaded(arrays)), expected)
