"""Functions that keep precision, and tables of positions."""

import ml_dtypes  # Keras needs it: NumPy has no bfloat16
import numpy as np
import pytest
from keras import ops

from kseq.ops import l2_normalize, layer_normalize, sinusoid, tanh
from kseq.ops.dtypes import LOWEST, dtype_of
from kseq.ops.numerics import moments
from tests.ops.compute import (
    COMPUTED,
    assert_close,
    compute,
    each_dtype,
    gradient,
    needs_gradients,
)
from tests.reference.transformer import table


@pytest.mark.once
def test_dtypes():
    for dtype, lowest in LOWEST.items():
        assert lowest == float(ml_dtypes.finfo(dtype).min)
    for x in (None, "abc", 1.0, [1.0]):
        with pytest.raises(ValueError, match=r"^x: expected a tensor"):
            dtype_of(x)


@each_dtype
def test_tanh_at_its_ends(dtype):
    x = np.array([0.0, 25.0, -25.0, np.inf, -np.inf, np.nan, 20.5, -3.0])
    got = compute(tanh, dtype, x)
    np.testing.assert_array_equal(got[:6], [0.0, 1.0, -1.0, 1.0, -1.0, np.nan])
    assert_close(got[6:], np.tanh(x[6:]), dtype)


@pytest.mark.skipif("float64" not in COMPUTED, reason="it computes in 32 bits")
def test_tanh_in_float64():
    x = np.concatenate(
        [np.linspace(-25, 25, 501), [1e-12, -1e-12, 1e-300, 1e4, -1e4]]
    )
    got = compute(tanh, "float64", x)
    # Relative: 1e-12 must not be rounded to a multiple of 1e-16.
    np.testing.assert_allclose(got, np.tanh(x), rtol=1e-15)


def stacked_moments(x):
    return ops.stack(moments(x, (0, 1)))


def test_the_variance_of_numbers_far_from_zero():
    # E[x^2] - E[x]^2 would leave nothing of it in float32.
    x = 8192.0 + np.array([[[-1.0], [1.0]]])
    got = compute(stacked_moments, "float32", x)
    assert got.ravel().tolist() == [8192.0, 1.0, 2.0]


@pytest.mark.parametrize("value", [0.1, 12345.678, 1.1e30])
def test_the_variance_of_equal_numbers_is_zero(value):
    x = np.full((1, 7, 1), value)
    _, variance, _ = compute(stacked_moments, "float32", x)
    assert variance.ravel().tolist() == [0.0]
    got = compute(layer_normalize, "float32", x[..., 0], 1.0, 0.0)
    assert got.tolist() == [[0.0] * 7]


def test_short_vectors_are_not_scaled_to_length_1():
    x = np.array([[6e-8, 8e-8], [3.0, -4.0]])
    got = compute(l2_normalize, "float32", x)
    np.testing.assert_allclose(got, [[0.06, 0.08], [0.6, -0.8]], rtol=1e-6)


@needs_gradients
def test_the_gradient_of_l2_normalize_at_zero():
    np.testing.assert_allclose(gradient(l2_normalize, np.zeros((1, 2))), 1e6)


@pytest.mark.once
@pytest.mark.parametrize(
    ("steps", "dim"), [(1, 1), (2, 3), (7, 4), (50, 8), (0, 2)]
)
def test_the_table_of_positions(steps, dim):
    got = sinusoid(steps, dim)
    assert got.dtype == "float64"
    assert got.shape == (steps, dim)
    expected = table(steps, dim).reshape(steps, dim)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-15)
