"""Gradients stay finite, and padding and empty histories have none."""

import inspect

import keras
import numpy as np
import pytest
from keras import ops

from kseq.agreement import probes
from kseq.agreement.numbers import cotangents_of
from tests.arrays import to_numpy
from tests.layers.checks import skip_left_out
from tests.layers.examples import (
    ARRAYS,
    EXAMPLES,
    LENGTHS,
    MASK,
    PADDED,
    PREFIX,
    fill,
    names,
)

each = pytest.mark.parametrize("example", EXAMPLES, ids=names(EXAMPLES))

# JAX would compile each operation by itself, which takes longer.
COMPILED = keras.backend.backend() == "jax"


def gradients(example, arrays, mask, training=False):
    """Gradients for features by name, and for weights.

    Of an output weighed with 0 in a step that keeps its own padding.
    """
    layer = example.built(example.masking)
    inputs = [ops.convert_to_tensor(arrays[n]) for n in example.features]
    given = ops.convert_to_tensor(mask)
    kwargs = {"mask": example.mask(given)}
    if "training" in inspect.signature(layer.call).parameters:
        kwargs["training"] = training
    packed = inputs if len(inputs) > 1 else inputs[0]
    shape = layer.compute_output_shape(
        [tuple(x.shape) for x in inputs]
        if len(inputs) > 1
        else tuple(inputs[0].shape)
    )
    weighed = example.shown(
        cotangents_of([np.empty(shape)], "float32")[0], mask
    )
    cotangent = ops.convert_to_tensor(weighed.astype("float32"))
    of_inputs, of_weights = probes.gradients(
        layer, packed, kwargs, [cotangent], COMPILED
    )
    by_name = dict(zip(example.features, of_inputs, strict=True))
    return (
        {name: to_numpy(g) for name, g in by_name.items()},
        [to_numpy(g) for g in of_weights],
    )


@each
def test_padding_has_no_part_in_gradients(example):
    skip_left_out("gradients")
    expected, of_weights = gradients(example, fill(ARRAYS, 0.0, MASK), MASK)
    # All that spoils sums at once, each in steps of its own.
    filling = np.array([np.nan, np.inf, -np.inf, 1e38, np.nan])
    filled = dict(ARRAYS)
    for name in PADDED:
        x = ARRAYS[name]
        lift = (slice(None), *[None] * (x.ndim - 2))
        keep = MASK[(slice(None), *lift)]
        filled[name] = np.where(keep, x, filling[lift]).astype("float32")
    got, of_weights_filled = gradients(example, filled, MASK)
    for name, gradient in got.items():
        np.testing.assert_array_equal(gradient, expected[name], err_msg=name)
    for i, gradient in enumerate(of_weights_filled):
        np.testing.assert_array_equal(gradient, of_weights[i], err_msg=str(i))


@each
@pytest.mark.parametrize("training", [False, True])
def test_gradients_are_finite_and_zero_in_padding(example, training):
    skip_left_out("gradients")
    got, of_weights = gradients(example, ARRAYS, PREFIX, training)
    for name, gradient in got.items():
        assert np.all(np.isfinite(gradient)), name
        if name in PADDED:
            assert np.all(gradient[~PREFIX] == 0), name
    assert np.any(got["x"][PREFIX] != 0)
    assert all(np.all(np.isfinite(gradient)) for gradient in of_weights)


@each
def test_empty_histories_alone_have_finite_gradients(example):
    skip_left_out("gradients")
    empty = np.zeros_like(MASK)
    # In training, where statistics of no step at all are taken.
    got, of_weights = gradients(
        example, fill(ARRAYS, np.nan, empty), empty, training=True
    )
    for name, gradient in got.items():
        if example.empty_is_zero or name in PADDED:
            assert np.all(gradient == 0), name
        assert np.all(np.isfinite(gradient)), name
    for gradient in of_weights:
        assert np.all(np.isfinite(gradient))
        if example.empty_is_zero:
            assert np.all(gradient == 0)


def test_the_histories_have_an_empty_one():
    assert 0 in LENGTHS
    assert not MASK.any(axis=1).all()
