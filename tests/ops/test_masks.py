import numpy as np
import pytest

from kseq.ops import lengths_to_mask, masked_softmax, zero_padding
from tests.ops.compute import BACKEND, assert_close, compute, draw, each_dtype
from tests.ops.examples import MASK
from tests.reference.masks import mask_of, select, softmax
from tests.support import to_numpy


def mask_of_lengths(lengths, steps):
    x = np.zeros((len(lengths), steps, 2), "float32")
    got = to_numpy(lengths_to_mask(lengths, x))
    assert got.dtype == bool
    return got


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize(
    "lengths",
    [
        np.array([4, 3, 1, 0]),
        np.array([-1, -99, -(2**31), 2]),
        np.array([5, 99, 2**31 - 1, 2]),
        np.array([[2], [0], [1], [4]]),
        np.array([2.0, 0.0, -1.0, 99.0], "float32"),
        np.array([[3.0], [2.0], [0.0], [4.0]], "float16"),
        np.array([2, 0, 255, 4], "uint8"),
        np.array([2, -128, 127, 4], "int8"),
        np.array([3]),
        # JAX and NumPy's backend have no int64, PyTorch no uint64.
        np.array([2**63 - 1, 2**33 + 1, -(2**63), -(2**33) + 1]),
        np.array([2**64 - 1, 0], "uint64"),
        np.array([2**31, 1], "uint32"),
    ],
    ids=lambda a: f"{a.dtype}{a.tolist()}",
)
def test_lengths_of_any_dtype(lengths, steps):
    expected = mask_of(np.zeros((len(lengths), steps)), lengths=lengths)
    np.testing.assert_array_equal(mask_of_lengths(lengths, steps), expected)


def test_lengths_that_are_not_whole():
    got = mask_of_lengths(np.array([np.nan, 2.7, 0.9]), 3)
    assert got.sum(axis=1).tolist() == [0, 2, 0]


@pytest.mark.parametrize("dtype", ["float32", "float16", "int32", "bool"])
@pytest.mark.parametrize("rank", [1, 2, 3, 4])
def test_a_mask_of_leading_axes(dtype, rank):
    if dtype == "bool" and BACKEND == "openvino":
        pytest.skip("OpenVINO selects between bools as int32")
    x = (2 * draw("x", 4, 6, 2, 3)).astype(dtype)
    valid = draw("mask of some axes", *x.shape[:rank]) > 0
    got = to_numpy(zero_padding(x, valid))
    assert got.dtype == dtype
    valid = valid.reshape(valid.shape + (1,) * (4 - rank))
    np.testing.assert_array_equal(got, select(valid, x, x.dtype.type(0)))


@each_dtype
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_softmax_of_huge_scores(dtype, size):
    scores = np.array([[size, size, 0.0], [size, 0.0, size], [size, 0, 0]])
    valid = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1]], bool)
    got = compute(masked_softmax, dtype, scores, valid)
    last = [1.0, 0.0, 0.0] if size > 0 else [0.0, 0.5, 0.5]
    assert got.tolist() == [[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], last]


def test_softmax_over_another_axis():
    scores = draw("scores", 4, 2, 6)
    valid = MASK[:, None]  # is broadcast
    got = compute(masked_softmax, "float32", scores.T, valid.T, axis=0)
    assert_close(got, softmax(scores, valid).T, "float32")


@pytest.mark.parametrize("more", [0, 2])
def test_a_score_of_minus_infinity_is_not_valid(more):
    scores = np.full((2, 3 + more), -np.inf)
    scores[0, 1] = 7.0
    valid = np.broadcast_to(np.arange(3 + more) < 3, scores.shape)
    got = compute(masked_softmax, "float32", scores, valid)
    np.testing.assert_array_equal(got, scores == 7.0)


@pytest.mark.parametrize(
    "lengths",
    [
        # A running count in the lengths' own dtype would wrap.
        np.array([200], "uint8"),
        np.array([127], "int8"),
        np.array([2049.0], "float32"),
        np.array([2049.0], "float64"),
    ],
    ids=str,
)
def test_long_sequences(lengths):
    assert mask_of_lengths(lengths, 2050).sum() == lengths[0]
