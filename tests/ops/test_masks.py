import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from kseq import ops as kops
from kseq.ops import (
    lengths_to_mask,
    masked_softmax,
    resolve_mask,
    zero_padding,
)
from tests.arrays import to_numpy
from tests.cases import MASK
from tests.ops.compute import (
    X,
    assert_close,
    compute,
    draw,
    each_dtype,
    few_examples,
    gradient,
    needs_gradients,
)
from tests.reference.masks import mask_of, select, softmax

FILLINGS = [np.nan, np.inf, -np.inf]


def of(lengths, steps):
    x = np.zeros((len(lengths), steps, 2), "float32")
    got = to_numpy(lengths_to_mask(lengths, x))
    assert got.dtype == bool
    return got


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize(
    "lengths",
    [
        np.array([4, 3, 1, 0]),
        np.array([0, 0, 0, 0]),
        np.array([-1, -99, -(2**31), 2]),
        np.array([5, 99, 2**31 - 1, 2]),
        np.array([[2], [0], [1], [4]]),
        np.array([2.0, 0.0, -1.0, 99.0], "float32"),
        np.array([[3.0], [2.0], [0.0], [4.0]], "float16"),
        np.array([2, 0, 255, 4], "uint8"),
        np.array([2, -128, 127, 4], "int8"),
        np.array([2, 0, 1, 4], "int32"),
        np.array([3]),
    ],
    ids=lambda a: f"{a.dtype}{a.tolist()}",
)
def test_lengths_keep_the_first_steps(lengths, steps):
    expected = mask_of(np.zeros((len(lengths), steps)), lengths=lengths)
    np.testing.assert_array_equal(of(lengths, steps), expected)


DIM = X.shape[-1]
GATES = draw("gates", DIM + 2, 4), draw("gates' bias", 4)
CANDIDATE = draw("candidate", DIM + 2, 2), draw("candidate's bias", 2)
LSTM = draw("kernel", DIM, 8), draw("recurrent", 2, 8), draw("bias", 8)
TAKE_A_MASK = {
    "zero_padding": lambda m: zero_padding(X, m),
    "masked_softmax": lambda m: masked_softmax(X[..., 0], m),
    "masked_sum": lambda m: kops.masked_sum(X, m),
    "masked_mean": lambda m: kops.masked_mean(X, m),
    "masked_max": lambda m: kops.masked_max(X, m),
    "step_weights": lambda m: kops.step_weights(X[..., 0], m),
    "k_max": lambda m: kops.k_max(X, 2, valid=m),
    "attention_weights": lambda m: kops.attention_weights(X[:, None, :, 0], m),
    "gru": lambda m: kops.gru(X, m, GATES, CANDIDATE)[0],
    "lstm": lambda m: kops.lstm(X, m, *LSTM),
    "multi_head_attention": lambda m: kops.multi_head_attention(
        X[:, None], X[:, None], X[:, None], m, query_valid=m
    ),
}


@pytest.mark.parametrize("dtype", ["int32", "uint8"])
@pytest.mark.parametrize("name", TAKE_A_MASK)
def test_a_mask_may_be_of_zeros_and_ones(name, dtype):
    call = TAKE_A_MASK[name]
    expected = to_numpy(call(MASK))
    np.testing.assert_array_equal(to_numpy(call(MASK.astype(dtype))), expected)


def test_bytes_count_further_than_127():
    # A running count in the lengths' own dtype would wrap.
    assert of(np.array([200], "uint8"), 300).sum() == 200
    assert of(np.array([127], "int8"), 300).sum() == 127


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_float_lengths_keep_their_digits(dtype):
    assert of(np.array([2049.0], dtype), 2050).sum() == 2049


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 1), (2, 3, 4, 5)])
def test_sequences_may_have_any_rank(shape):
    got = to_numpy(lengths_to_mask(np.array([1, 3]), np.zeros(shape)))
    assert got.tolist() == [[True, False, False], [True, True, True]]


def test_what_stands_in_the_sequence_does_not_count():
    x = np.full((1, 3, 2), np.nan, "float32")
    got = to_numpy(lengths_to_mask(np.array([2]), x))
    assert got.tolist() == [[True, True, False]]


def test_lengths_beyond_32_bits_count_as_all_steps():
    assert of(np.array([2**31], "uint32"), 3).all()
    # JAX and NumPy's backend know no int64, PyTorch no uint64.
    assert of(np.array([2**63 - 1, 2**33 + 1]), 3).all()
    assert of(np.array([2**64 - 1], "uint64"), 3).all()
    assert not of(np.array([-(2**63), -(2**33) + 1]), 3).any()


def test_no_mask_and_no_lengths_keep_every_step():
    got = to_numpy(resolve_mask(X))
    assert got.dtype == bool
    np.testing.assert_array_equal(got, np.ones(X.shape[:2], bool))


@pytest.mark.parametrize("dtype", ["bool", "int32", "uint8"])
def test_a_mask_is_kept_as_it_is(dtype):
    got = to_numpy(resolve_mask(X, MASK.astype(dtype)))
    assert got.dtype == bool
    np.testing.assert_array_equal(got, MASK)


def test_mask_and_lengths_must_both_allow_a_step():
    lengths = np.array([3, 6, 6, 6])
    got = to_numpy(resolve_mask(X, MASK, lengths))
    expected = MASK & mask_of(X, lengths=lengths)
    np.testing.assert_array_equal(got, expected)


def test_lengths_alone_make_the_mask():
    lengths = np.array([[6], [2], [1], [0]])
    got = to_numpy(resolve_mask(X, lengths=lengths))
    np.testing.assert_array_equal(got, mask_of(X, lengths=lengths))


@each_dtype
@pytest.mark.parametrize("filling", FILLINGS)
@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 3), (4, 6, 2, 3)])
def test_padding_becomes_zero(dtype, filling, shape):
    valid = MASK.reshape(4, 6, *(1,) * (len(shape) - 2))
    x = select(valid, draw("x", *shape), filling)
    got = compute(zero_padding, dtype, x, MASK)
    np.testing.assert_array_equal(got, select(valid, x))


@each_dtype
@pytest.mark.parametrize("rank", [1, 2, 3, 4])
def test_a_mask_may_have_any_of_the_first_axes(dtype, rank):
    x = draw("x", 4, 6, 2, 3)
    valid = draw("mask of some axes", *x.shape[:rank]) > 0
    got = compute(zero_padding, dtype, x, valid)
    valid = valid.reshape(valid.shape + (1,) * (4 - rank))
    np.testing.assert_array_equal(got, select(valid, x))


@needs_gradients
@pytest.mark.parametrize("filling", FILLINGS)
def test_no_gradient_goes_through_padding(filling):
    x = select(MASK[..., None], X, filling)

    def squares(x):
        kept = zero_padding(x, MASK)
        return kept * kept

    expected = select(MASK[..., None], 2 * x)
    np.testing.assert_array_equal(gradient(squares, x), expected)


@each_dtype
def test_softmax_of_the_valid_steps(dtype):
    scores = 4 * draw("scores", 4, 6)
    got = compute(masked_softmax, dtype, scores, MASK)
    assert_close(got, softmax(scores, MASK), dtype)
    assert np.all(got[~MASK] == 0)


@each_dtype
@pytest.mark.parametrize("filling", [*FILLINGS, 1e4])
def test_softmax_does_not_see_padding(dtype, filling):
    scores = draw("scores", 4, 6)
    expected = compute(masked_softmax, dtype, scores, MASK)
    filled = select(MASK, scores, filling)
    got = compute(masked_softmax, dtype, filled, MASK)
    np.testing.assert_array_equal(got, expected)


@each_dtype
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_softmax_of_huge_scores(dtype, size):
    scores = np.array([[size, size, 0.0], [size, 0.0, size], [size, 0, 0]])
    valid = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1]], bool)
    got = compute(masked_softmax, dtype, scores, valid)
    last = [1.0, 0.0, 0.0] if size > 0 else [0.0, 0.5, 0.5]
    assert got.tolist() == [[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], last]


@each_dtype
@pytest.mark.parametrize("filling", [*FILLINGS, 0.0])
def test_softmax_is_zero_where_nothing_is_valid(dtype, filling):
    scores, nothing = np.full((4, 6), filling), np.zeros_like(MASK)
    got = compute(masked_softmax, dtype, scores, nothing)
    np.testing.assert_array_equal(got, np.zeros((4, 6)))


ONE_STEP = np.array([[-1e4], [3.0]]), np.array([[True], [False]])


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis")
def test_softmax_of_one_step():
    got = compute(masked_softmax, "float32", *ONE_STEP)
    assert got.tolist() == [[1.0], [0.0]]


def test_softmax_of_one_step_does_not_warn():
    compute(masked_softmax, "float32", *ONE_STEP)


def test_softmax_over_another_axis():
    scores, valid = draw("scores", 4, 6), MASK.T
    got = compute(masked_softmax, "float32", scores.T, valid, axis=0)
    assert_close(got, softmax(scores, MASK).T, "float32")


def test_softmax_takes_a_mask_that_broadcasts():
    scores = draw("many scores", 4, 2, 6)
    got = compute(masked_softmax, "float32", scores, MASK[:, None])
    assert_close(got, softmax(scores, MASK[:, None]), "float32")


@needs_gradients
@pytest.mark.parametrize("filling", FILLINGS)
def test_softmax_has_finite_gradients(filling):
    scores = select(MASK, draw("scores", 4, 6), filling)

    def first(scores):
        return masked_softmax(scores, MASK)[:, :1]

    got = gradient(first, scores)
    p = softmax(scores, MASK)
    expected = p * (np.eye(6)[0] - p[:, :1])
    np.testing.assert_allclose(got, expected, atol=1e-6)
    assert np.all(got[~MASK] == 0)


@few_examples
@given(st.permutations(range(4)))
def test_softmax_follows_the_order_of_the_batch(order):
    scores = ops.convert_to_tensor(draw("scores", 4, 6), "float32")
    expected = to_numpy(masked_softmax(scores, MASK))[order]
    shuffled = to_numpy(scores)[order]
    got = to_numpy(masked_softmax(shuffled, MASK[order]))
    np.testing.assert_array_equal(got, expected)


@few_examples
@given(
    st.lists(st.integers(-3, 9), min_size=4, max_size=4),
    st.sampled_from([1, 4]),
)
def test_lengths_are_the_mask_of_as_many_steps(lengths, steps):
    got = of(np.array(lengths), steps)
    for row, length in zip(got.tolist(), lengths, strict=True):
        kept = min(max(length, 0), steps)
        assert row == [True] * kept + [False] * (steps - kept)


@pytest.mark.parametrize("shape", [(2, 3, 1), (2, 3), (2, 3, 1, 1)])
def test_of_what_is_not_told_all_counts(shape):
    got = to_numpy(resolve_mask(np.zeros(shape, "float32")))
    np.testing.assert_array_equal(got, np.ones((2, 3), bool))


@pytest.mark.parametrize("more", [0, 2])
def test_a_score_of_minus_infinity_does_not_count(more):
    # However much padding there is beside it.
    scores = np.full((2, 3 + more), -np.inf)
    scores[0, 1] = 7.0
    valid = np.arange(3 + more) < np.array([[3], [3]])
    got = compute(masked_softmax, "float32", scores, valid)
    expected = np.zeros_like(scores)
    expected[0, 1] = 1.0
    np.testing.assert_array_equal(got, expected)
