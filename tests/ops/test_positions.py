"""The table of positions, and its rows."""

import re

import numpy as np
import pytest
from keras import ops

from kseq.ops import first_rows, sinusoid, sinusoid_like
from tests.arrays import to_numpy
from tests.ops.compute import assert_close, compute, draw, each_dtype
from tests.reference.transformer import table


@pytest.mark.parametrize(
    ("steps", "dim"), [(1, 1), (2, 3), (7, 4), (50, 8), (0, 2)]
)
def test_the_table(steps, dim):
    got = sinusoid(steps, dim)
    assert got.dtype == "float64"
    assert got.shape == (steps, dim)
    np.testing.assert_allclose(
        got, table(steps, dim).reshape(steps, dim), rtol=1e-12, atol=1e-15
    )


@each_dtype
def test_the_table_for_a_sequence(dtype):
    x = draw("positions", 2, 7, 5)
    assert_close(compute(sinusoid_like, dtype, x), table(7, 5), dtype)


def test_the_table_has_the_dtype_of_the_sequence_not_the_default_one():
    for dtype in ("float16", "float32"):
        got = sinusoid_like(np.ones((2, 3, 4), dtype))
        assert to_numpy(got).dtype == dtype


@pytest.mark.parametrize("steps", [1, 4, 5])
def test_the_first_rows(steps):
    rows = np.arange(10.0).reshape(5, 2).astype("float32")
    got = to_numpy(first_rows(rows, np.ones((3, steps, 7))))
    np.testing.assert_array_equal(got, rows[:steps])


def test_too_few_rows_are_refused():
    message = "inputs: expected at most 5 steps (max_steps); received 6"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        first_rows(ops.ones((5, 2)), ops.ones((1, 6, 2)))
