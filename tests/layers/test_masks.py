"""Which steps count: by lengths, a mask, both, or a mask that Keras brings."""

import keras
import numpy as np
import pytest

from kseq.layers import SequencePoolingLayer
from tests.arrays import to_numpy
from tests.layers.checks import assert_close
from tests.layers.examples import (
    ARRAYS,
    EXAMPLES,
    LENGTHS,
    MASK,
    PADDED,
    PREFIX,
    STEPS,
    WITH_LENGTHS,
    fill,
    names,
)

each = pytest.mark.parametrize("example", EXAMPLES, ids=names(EXAMPLES))
each_with_lengths = pytest.mark.parametrize(
    "example", WITH_LENGTHS, ids=names(WITH_LENGTHS)
)
SWITCHED = [example for example in WITH_LENGTHS if example.has_switch]
each_switched = pytest.mark.parametrize(
    "example", SWITCHED, ids=names(SWITCHED)
)


def steps_first(array, axis=1):
    """The steps of `MASK` moved to the front, in their order."""
    order = np.argsort(~MASK, axis=1, kind="stable")
    others = [a for a in range(array.ndim) if a not in (0, axis)]
    return np.take_along_axis(array, np.expand_dims(order, others), axis)


def moved(arrays):
    return arrays | {name: steps_first(arrays[name]) for name in PADDED}


@pytest.mark.parametrize(
    "example",
    [pytest.param(e, id=e.name) for e in EXAMPLES if not e.counts_places],
)
def test_a_mask_with_holes_is_its_steps_without_the_holes(example):
    layer = example.built(example.masking)
    lengths = MASK.sum(axis=1)
    expected = example.call(layer, moved(ARRAYS), lengths)
    got = example.shown(example.call_masked(layer), MASK)
    if example.steps_at is not None:
        got = steps_first(got, example.steps_at)
    valid = np.arange(STEPS) < lengths[:, None]
    assert_close(got, example.shown(expected, valid))


@each
def test_steps_outside_of_a_mask_are_inert(example):
    layer = example.built(example.masking)
    expected = example.shown(example.call_masked(layer), MASK)
    got = example.call_masked(layer, fill(ARRAYS, np.nan, MASK))
    np.testing.assert_array_equal(example.shown(got, MASK), expected)


@each
def test_a_mask_of_the_first_steps_is_lengths(example):
    layer = example.built()
    expected = example.call(layer)
    got = example.call_masked(layer, mask=PREFIX)
    assert_close(got, expected)


@each
def test_a_mask_of_all_steps_is_full_lengths(example):
    layer = example.built()
    full = np.full_like(LENGTHS, STEPS)
    got = example.call_masked(layer, mask=np.ones_like(MASK))
    assert_close(got, example.call(layer, lengths=full))


@each_switched
def test_lengths_alone_count_unless_masks_are_asked_for(example):
    layer = example.built()
    got = layer(example.inputs(), mask=given_mask(example))
    np.testing.assert_array_equal(to_numpy(got), example.call(layer))


@each_with_lengths
def test_lengths_and_mask_both_count_where_masks_are_asked_for(example):
    layer = example.built(example.masking)
    got = layer(example.inputs(), mask=given_mask(example))
    expected = example.call_masked(layer, mask=MASK & PREFIX)
    assert_close(to_numpy(got), expected)
    assert np.any(expected != example.call(layer))
    assert np.any(expected != example.call_masked(layer))


@pytest.mark.parametrize(
    "example",
    [pytest.param(e, id=e.name) for e in SWITCHED if e.passes_mask],
)
def test_only_a_mask_that_counts_goes_on(example):
    inputs, mask = example.inputs(), given_mask(example)
    assert example.make().compute_mask(inputs, mask) is None
    passed = example.masking().compute_mask(inputs, mask)
    np.testing.assert_array_equal(to_numpy(passed), MASK & PREFIX)


@each
def test_a_mask_may_be_given_by_place(example):
    layer = example.built(example.masking)
    expected = example.call_masked(layer)
    got = layer(example.alone(), example.mask(MASK))
    np.testing.assert_array_equal(to_numpy(got), expected)


def given_mask(example):
    """A mask as Keras gives it for inputs with lengths: one an input."""
    return example.inputs(
        {"x": MASK, "query": None, "weights": None}, lengths=None
    )


@each
def test_a_mask_comes_from_an_embedding(example):
    table = np.concatenate([np.full((1, 3), 9.0), rows()]).astype("float32")
    ids = np.zeros(MASK.shape, "int32")
    ids[MASK] = np.arange(1, MASK.sum() + 1)
    embedding = keras.layers.Embedding(len(table), 3, mask_zero=True)
    embedding.build((None, None))
    embedding.embeddings.assign(table)
    assert_masked_by(example, embedding, ids)


@each
def test_a_mask_comes_from_masking(example):
    x = np.where(MASK[..., None], ARRAYS["x"], np.float32(-7))
    assert_masked_by(example, keras.layers.Masking(-7.0), x)


def rows():
    return ARRAYS["x"][MASK]


def assert_masked_by(example, before, given):
    """In eager and in functional use, as by the mask itself."""
    layer = example.built(example.masking)
    expected = example.shown(example.call_masked(layer), MASK)
    arrays = ARRAYS | {"x": before(given)}
    got = to_numpy(layer(example.alone(arrays)))
    np.testing.assert_array_equal(example.shown(got, MASK), expected)

    arrays = ARRAYS | {"x": given}
    symbols = {
        name: keras.Input(arrays[name].shape[1:], dtype=arrays[name].dtype.name)
        for name in example.features
    }
    made = layer(example.alone(symbols | {"x": before(symbols["x"])}))
    model = keras.Model(example.alone(symbols), made)
    got = to_numpy(model(example.alone(arrays)))
    assert_close(example.shown(got, MASK), expected)
    assert (getattr(made, "_keras_mask", None) is None) != example.passes_mask


@each
def test_the_mask_goes_on_only_with_the_steps(example):
    layer = example.built(example.masking)
    inputs, mask = example.alone(), example.mask(MASK)
    masks = layer.compute_mask(inputs, mask)
    if not example.passes_mask:
        assert masks is None
        out = layer(inputs, mask=mask)
        assert getattr(out, "_keras_mask", None) is None
    else:
        np.testing.assert_array_equal(to_numpy(masks), MASK)


@each_with_lengths
def test_compute_mask_can_be_asked_without_a_mask(example):
    """As Keras's `run_layer_test` asks it."""
    assert example.make().compute_mask(example.inputs()) is None


@pytest.mark.parametrize("compiled", [False, True])
def test_lengths_of_any_value_mean_the_same_everywhere(compiled):
    """NaN and what is below 0 count as 0, fractions are cut off."""
    lengths = [2.7, 0.9, -0.0, -1.0, -1e30, -np.inf, np.nan, 1e30, np.inf]
    counted = [2, 0, 0, 0, 0, 0, 0, STEPS, STEPS]
    x = np.ones((len(lengths), STEPS, 1), "float32")
    inputs = [x, np.array(lengths, "float32")]
    layer = SequencePoolingLayer("sum")
    if not compiled:
        got = layer(inputs)
    else:
        symbols = [keras.Input((STEPS, 1)), keras.Input(())]
        model = keras.Model(symbols, layer(symbols))
        # Keras compiles with XLA where it can; PyTorch's compiler takes long.
        xla = keras.backend.backend() in ("tensorflow", "jax")
        model.compile(jit_compile=xla)
        got = model.predict(inputs, verbose=0)
    assert to_numpy(got)[:, 0, 0].tolist() == counted


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint32"])
def test_lengths_of_any_integers_are_clipped(dtype):
    info = np.iinfo(dtype)
    lengths = np.array([info.min, 2, info.max], dtype)
    x = np.ones((3, STEPS, 1), "float32")
    got = to_numpy(SequencePoolingLayer("sum")([x, lengths]))
    assert got[:, 0, 0].tolist() == [0, 2, STEPS]


def test_of_a_mask_of_integers_only_0_is_false():
    mask = np.array([[0, 1, -1, 2, 127]], "int8")
    x = np.ones((1, STEPS, 1), "float32")
    got = to_numpy(SequencePoolingLayer("sum")(x, mask=mask))
    assert got[0, 0, 0] == 4
