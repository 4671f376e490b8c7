"""NaN or infinity in a valid step changes its own example's result only."""

import inspect

import keras
import numpy as np
import pytest
from keras import ops

from kseq.agreement import probes
from tests.arrays import to_numpy
from tests.layers.checks import skip_left_out
from tests.layers.examples import ARRAYS, EXAMPLES, MASK, names

BACKEND = keras.backend.backend()
POSITION = (1, 2)  # a valid step of example 1
OTHERS = np.arange(len(MASK)) != POSITION[0]
# Layers whose maximum ignores NaN: "NaN among numbers" in
# docs/reliability/differences.md.
NAN_IGNORED = {
    "openvino": ("max", "k-max", "k-max-dim"),
    "tensorflow": ("k-max", "k-max-dim"),
}

for_each_layer = pytest.mark.parametrize(
    "example", EXAMPLES, ids=names(EXAMPLES)
)


def arrays_with(value):
    x = ARRAYS["x"].copy()
    x[POSITION] = value
    return ARRAYS | {"x": x}


@for_each_layer
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_outputs_of_other_examples_are_unchanged(value, example):
    layer = example.built(example.masking)
    expected = example.call_masked(layer)
    with np.errstate(invalid="ignore"):  # the NumPy backend warns
        got = example.call_masked(layer, arrays_with(value))
    np.testing.assert_array_equal(got[OTHERS], expected[OTHERS])
    if np.isnan(value) and example.name not in NAN_IGNORED.get(BACKEND, ()):
        assert np.isnan(got[POSITION[0]]).any()


@for_each_layer
def test_gradients_of_other_examples_are_unchanged(example):
    skip_left_out("gradients")

    def input_gradients(arrays):
        layer = example.built(example.masking)
        inputs = keras.tree.map_structure(
            ops.convert_to_tensor, example.alone(arrays)
        )
        kwargs = {"mask": example.mask(ops.convert_to_tensor(MASK))}
        if "training" in inspect.signature(layer.call).parameters:
            kwargs["training"] = False
        ones = [
            ops.ones_like(y)
            for y in probes.forward(layer, inputs, kwargs, False)
        ]
        gradients, _ = probes.gradients(
            layer, inputs, kwargs, ones, BACKEND == "jax"
        )
        return [to_numpy(gradient) for gradient in gradients]

    found = input_gradients(arrays_with(np.nan))
    for got, expected in zip(found, input_gradients(ARRAYS), strict=True):
        np.testing.assert_array_equal(got[OTHERS], expected[OTHERS])
