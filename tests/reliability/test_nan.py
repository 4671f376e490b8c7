"""NaN in a step that counts reaches its own example's result, no other's."""

import inspect

import keras
import numpy as np
import pytest

from kseq.agreement import probes
from tests.arrays import to_numpy
from tests.layers.checks import skip_left_out
from tests.layers.examples import ARRAYS, EXAMPLES, MASK, names

BACKEND = keras.backend.backend()
AT = (1, 2)  # an example that has others beside it, and a step that counts
OTHERS = np.arange(len(MASK)) != AT[0]

each = pytest.mark.parametrize("example", EXAMPLES, ids=names(EXAMPLES))

# Where the largest of numbers and NaN is a number: docs/reliability,
# "NaN among numbers".
HIDES = {
    "openvino": ("max", "k-max", "k-max-dim"),
    "tensorflow": ("k-max", "k-max-dim"),
}


def spoilt(value=np.nan, name="x"):
    arrays = {name: x.copy() for name, x in ARRAYS.items()}
    arrays[name][AT] = value
    return arrays


@each
def test_values_of_other_examples_are_the_same(example):
    layer = example.built(example.masking)
    expected = example.call_masked(layer)
    got = example.call_masked(layer, spoilt())
    np.testing.assert_array_equal(got[OTHERS], expected[OTHERS])
    if example.name not in HIDES.get(BACKEND, ()):
        assert np.isnan(got[AT[0]]).any()


@each
def test_infinity_spoils_no_other_example_either(example):
    layer = example.built(example.masking)
    with np.errstate(invalid="ignore"):  # NumPy's backend warns
        got = example.call_masked(layer, spoilt(np.inf))
    np.testing.assert_array_equal(
        got[OTHERS], example.call_masked(layer)[OTHERS]
    )


@each
def test_gradients_of_other_examples_are_the_same(example):
    skip_left_out("gradients")

    def gradients(arrays):
        layer = example.built(example.masking)
        inputs = keras.tree.map_structure(
            keras.ops.convert_to_tensor, example.alone(arrays)
        )
        kwargs = {"mask": example.mask(keras.ops.convert_to_tensor(MASK))}
        if "training" in inspect.signature(layer.call).parameters:
            kwargs["training"] = False
        ones = [
            keras.ops.ones_like(y)
            for y in probes.forward(layer, inputs, kwargs, False)
        ]
        of_inputs, _ = probes.gradients(
            layer, inputs, kwargs, ones, BACKEND == "jax"
        )
        return [to_numpy(g) for g in of_inputs]

    found = gradients(spoilt())
    for got, expected in zip(found, gradients(ARRAYS), strict=True):
        np.testing.assert_array_equal(got[OTHERS], expected[OTHERS])
