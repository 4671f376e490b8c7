"""No steps at all, as of a batch of empty histories, and no examples."""

import keras
import numpy as np
import pytest

from tests.layers.examples import ARRAYS, EXAMPLES, LENGTHS, names, with_steps

NO_STEPS = [e for e in EXAMPLES if e.steps_at is None and e.least_steps == 1]

# The whole process ends, or the tensor cannot be read, depending on the CPU
# (docs/upstream/openvino_no_steps.py).
pytestmark = pytest.mark.skipif(
    keras.backend.backend() == "openvino",
    reason="OpenVINO stops with a floating point exception in products of "
    "tensors without elements",
)


@pytest.mark.parametrize("example", NO_STEPS, ids=names(NO_STEPS))
def test_pools_to_zeros(example):
    layer = example.built()
    out = example.call(layer, with_steps(0), np.zeros_like(LENGTHS))
    usual = example.call(layer, ARRAYS, LENGTHS)
    assert out.shape == usual.shape
    assert np.all(out == 0)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("example", EXAMPLES, ids=names(EXAMPLES))
def test_an_empty_batch_gives_one(example, dtype):
    layer = example.built(dtype=dtype)
    usual = example.call(layer, ARRAYS, LENGTHS)
    nobody = {name: x[:0] for name, x in ARRAYS.items()}
    out = example.call(layer, nobody, LENGTHS[:0])
    assert out.shape == (0, *usual.shape[1:])
    assert out.dtype == usual.dtype == dtype
