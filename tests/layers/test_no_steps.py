"""A batch whose histories are all empty may have no steps at all."""

import numpy as np
import pytest

from tests.layers.examples import ARRAYS, EXAMPLES, LENGTHS, names, with_steps

NO_STEPS = [e for e in EXAMPLES if e.steps_at is None and e.least_steps == 1]


@pytest.mark.parametrize("example", NO_STEPS, ids=names(NO_STEPS))
def test_pools_to_zeros(example):
    layer = example.built()
    out = example.call(layer, with_steps(0), np.zeros_like(LENGTHS))
    usual = example.call(layer, ARRAYS, LENGTHS)
    assert out.shape == usual.shape
    assert np.all(out == 0)
