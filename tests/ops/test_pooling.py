import numpy as np
import pytest

from kseq.ops import k_max, masked_max, masked_mean, masked_sum, step_weights
from tests.ops.compute import compute, draw, each_half_dtype, gradient
from tests.ops.examples import MASK
from tests.reference import pooling as reference

pytestmark = pytest.mark.once


@each_half_dtype
def test_half_precision_is_summed_in_float32(dtype):
    # 4096 ones after 4096: in half precision each is lost.
    x, valid = np.ones((1, 4097, 1)), np.ones((1, 4097), bool)
    x[0, 0] = 4096.0
    assert compute(masked_sum, dtype, x, valid).tolist() == [[8192.0]]
    # A partial sum overflows float16, the whole one does not.
    far = np.array([[[6e4], [6e4], [-6e4], [-6e4]]])
    assert compute(masked_sum, dtype, far, valid[:, :4]).tolist() == [[0.0]]
    # Their sum, 65536 * 4097, overflows float16; their mean does not.
    x[...] = 32768.0
    assert compute(masked_mean, dtype, x, valid).tolist() == [[32768.0]]
    # Nor is their sum known in half precision.
    thirds = compute(step_weights, dtype, x[..., 0], valid, normalize="sum")
    np.testing.assert_allclose(thirds.astype("float64") * 4097, 1, rtol=4e-3)
    # In half precision 4097 places cannot be counted.
    top = compute(k_max, dtype, x / 32768, 4097, valid=valid)
    assert top.astype("float32").sum() == 4097


@pytest.mark.parametrize("value", [-2.0, np.inf])
def test_the_maximum_of_valid_steps(value):
    x = np.array([[[-3.0], [value], [99.0]]])
    valid = np.array([[True, True, False]])
    assert compute(masked_max, "float32", x, valid).tolist() == [[value]]


@pytest.mark.parametrize("weights", [[0.0, 0.0], [2.0, -2.0]])
def test_fractions_of_weights_that_sum_to_0_are_0(weights):
    valid = np.ones((1, 2), bool)

    def fractions(weights):
        return step_weights(weights, valid, normalize="sum")

    weights = np.array([weights])
    assert not compute(fractions, "float32", weights).any()
    assert not gradient(fractions, weights).any()


def test_padding_is_not_larger_than_minus_infinity():
    x = np.array([[[-np.inf], [1.0]]])
    valid = np.array([[True, False]])
    assert compute(masked_max, "float32", x, valid).tolist() == [[-np.inf]]
    got = compute(k_max, "float32", x, 1, 1, valid)
    assert got.tolist() == [[[-np.inf]]]


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((4, 6), 1),
        ((4, 6), -1),
        ((4, 6, 3), -2),
        ((4, 6, 3), -1),
        ((4, 6, 2, 3), 1),
        ((4, 6, 3, 2), 2),
        ((4, 6, 2, 3), -1),
    ],
)
@pytest.mark.parametrize("valid", [None, MASK], ids=["all", "mask"])
def test_k_max_along_any_axis(shape, axis, valid):
    x = draw("x", *shape)
    got = compute(k_max, "float32", x, 2, axis, valid)
    expected = reference.k_max(x, 2, axis, valid)
    np.testing.assert_array_equal(got, expected)
