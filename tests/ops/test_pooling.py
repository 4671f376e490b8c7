import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from kseq.ops import (
    k_max,
    lengths_to_mask,
    masked_max,
    masked_mean,
    masked_sum,
    step_weights,
)
from tests.arrays import to_numpy
from tests.cases import MASK
from tests.ops.compute import (
    BACKEND,
    WEIGHTS,
    X,
    assert_close,
    compute,
    draw,
    each_dtype,
    each_half_dtype,
    few_examples,
    gradient,
    needs_gradients,
)
from tests.reference import pooling as reference
from tests.reference.masks import select, softmax

POOLS = {"sum": masked_sum, "mean": masked_mean, "max": masked_max}
FILLINGS = [np.nan, np.inf, -np.inf, 1e4]

each_pool = pytest.mark.parametrize("mode", POOLS)
each_filling = pytest.mark.parametrize("filling", FILLINGS)


def pooled(mode, dtype, x, valid):
    return compute(POOLS[mode], dtype, x, valid)


@each_dtype
@each_pool
def test_pools_the_valid_steps(mode, dtype):
    got = pooled(mode, dtype, X, MASK)
    assert_close(got, reference.pool(X, MASK, mode)[:, 0], dtype)


@each_dtype
@each_pool
@each_filling
def test_pools_do_not_see_padding(mode, dtype, filling):
    filled = select(MASK[..., None], X, filling)
    got = pooled(mode, dtype, filled, MASK)
    np.testing.assert_array_equal(got, pooled(mode, dtype, X, MASK))


@each_dtype
@each_pool
@each_filling
def test_nothing_valid_pools_to_zero(mode, dtype, filling):
    x, nothing = np.full_like(X, filling), np.zeros_like(MASK)
    got = pooled(mode, dtype, x, nothing)
    np.testing.assert_array_equal(got, np.zeros((4, 3)))


@each_pool
def test_one_step_pools_to_itself(mode):
    got = pooled(mode, "float32", X[:1, :1], np.ones((1, 1), bool))
    np.testing.assert_array_equal(got, X[:1, 0])


@each_half_dtype
def test_half_sums_are_made_in_float32(dtype):
    # 4096 ones after 4096: in half precision each is lost.
    x, valid = np.ones((1, 4097, 1)), np.ones((1, 4097), bool)
    x[0, 0] = 4096.0
    assert pooled("sum", dtype, x, valid).tolist() == [[8192.0]]
    # Their sum, 65536 * 4097, no float16 holds; their mean it does.
    x[...] = 32768.0
    assert pooled("mean", dtype, x, valid).tolist() == [[32768.0]]


def test_max_of_negative_numbers_is_negative():
    x = np.array([[[-3.0], [-2.0], [-1.0]]])
    valid = np.array([[True, True, False]])
    assert pooled("max", "float32", x, valid).tolist() == [[-2.0]]


def test_max_keeps_infinity_of_a_valid_step():
    x = np.array([[[np.inf], [2.0], [1.0]]])
    valid = np.array([[True, True, False]])
    assert pooled("max", "float32", x, valid).tolist() == [[np.inf]]


@pytest.mark.xfail(
    BACKEND == "openvino",
    reason="OpenVINO's largest of infinities is the least finite number",
)
def test_padding_does_not_win_over_minus_infinity():
    x = np.array([[[-np.inf], [1.0]]])
    valid = np.array([[True, False]])
    assert pooled("max", "float32", x, valid).tolist() == [[-np.inf]]
    got = compute(k_max, "float32", x, 1, 1, valid)
    assert got.tolist() == [[[-np.inf]]]


@needs_gradients
@each_pool
@each_filling
def test_pools_have_finite_gradients(mode, filling):
    x = select(MASK[..., None], X, filling)
    expected = np.broadcast_to(MASK[..., None], X.shape).astype(float)
    if mode == "mean":
        count = np.maximum(MASK.sum(axis=1), 1)
        expected = expected / count[:, None, None]
    if mode == "max":
        shown = select(MASK[..., None], X, -np.inf)
        largest = shown == shown.max(axis=1, keepdims=True)
        expected = np.where(MASK[..., None] & largest, 1.0, 0.0)
    got = gradient(lambda x: POOLS[mode](x, MASK), x)
    np.testing.assert_allclose(got, expected, rtol=1e-6)


@each_dtype
@pytest.mark.parametrize("normalize", [True, False])
def test_step_weights(dtype, normalize):
    weights = WEIGHTS[..., 0]
    expected = softmax(weights, MASK) if normalize else select(MASK, weights)
    got = compute(step_weights, dtype, weights, MASK, normalize)
    assert_close(got, expected, dtype)
    assert np.all(got[~MASK] == 0)


def test_step_weights_are_a_softmax_unless_told_otherwise():
    weights = WEIGHTS[..., 0]
    got = compute(step_weights, "float32", weights, MASK)
    assert_close(got, softmax(weights, MASK), "float32")


@each_dtype
@each_filling
@pytest.mark.parametrize("normalize", [True, False])
def test_step_weights_do_not_see_padding(dtype, filling, normalize):
    weights = WEIGHTS[..., 0]
    filled = select(MASK, weights, filling)
    np.testing.assert_array_equal(
        compute(step_weights, dtype, filled, MASK, normalize),
        compute(step_weights, dtype, weights, MASK, normalize),
    )


@each_dtype
@pytest.mark.parametrize("valid", [None, MASK], ids=["all", "mask"])
@pytest.mark.parametrize("axis", [1, 2, -1, -2])
@pytest.mark.parametrize("k", [1, 3])
def test_k_max_along_an_axis(dtype, valid, axis, k):
    got = compute(k_max, dtype, X, k, axis, valid)
    expected = reference.k_max(X, k, axis, valid)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("shape", "axis"),
    [((4, 6), 1), ((4, 6), -1), ((4, 6, 2, 3), 1), ((4, 6, 2, 3), -1)],
)
@pytest.mark.parametrize("valid", [None, MASK], ids=["all", "mask"])
def test_k_max_of_any_rank(shape, axis, valid):
    x = draw("x", *shape)
    got = compute(k_max, "float32", x, 2, axis, valid)
    expected = reference.k_max(x, 2, axis, valid)
    np.testing.assert_array_equal(got, expected)


def test_k_max_of_the_whole_axis_sorts():
    got = compute(k_max, "float32", X, X.shape[1])
    np.testing.assert_array_equal(got, -np.sort(-X, axis=1))


def test_ties_take_a_place_each():
    x = np.array([[[2.0], [5.0], [5.0], [2.0], [5.0]]])
    got = compute(k_max, "float32", x, 4)
    assert got.tolist() == [[[5.0], [5.0], [5.0], [2.0]]]


def test_a_place_without_a_step_holds_zero():
    # Not the padding's value, and below it though the steps are negative.
    x = np.array([[[-2.0], [9.0], [-1.0]], [[9.0], [9.0], [9.0]]])
    valid = np.array([[True, False, True], [False, False, False]])
    got = compute(k_max, "float32", x, 3, 1, valid)
    assert got.tolist() == [[[-1.0], [-2.0], [0.0]], [[0.0]] * 3]


@each_dtype
@each_filling
@pytest.mark.parametrize("axis", [1, 2])
def test_k_max_does_not_see_padding(dtype, filling, axis):
    filled = select(MASK[..., None], X, filling)
    np.testing.assert_array_equal(
        compute(k_max, dtype, filled, 2, axis, MASK),
        compute(k_max, dtype, X, 2, axis, MASK),
    )


@needs_gradients
@each_filling
@pytest.mark.parametrize("axis", [1, 2])
def test_k_max_has_finite_gradients(filling, axis):
    x = select(MASK[..., None], X, filling)
    got = gradient(lambda x: k_max(x, 2, axis, MASK), x)
    shown = select(MASK[..., None], X, -np.inf)
    second = -np.sort(-shown, axis=axis).take([1], axis=axis)
    expected = MASK[..., None] & (shown >= second)
    np.testing.assert_array_equal(got, expected.astype(float))


def k_max_of_steps(x, valid):
    return k_max(x, 2, 1, valid)


OPS = [*POOLS.values(), k_max_of_steps]
each_op = pytest.mark.parametrize("op", OPS, ids=lambda op: op.__name__)


@each_op
@few_examples
@given(order=st.permutations(range(4)))
def test_follows_the_order_of_the_batch(op, order):
    x = X.astype("float32")
    expected = to_numpy(op(x, MASK))[order]
    np.testing.assert_array_equal(to_numpy(op(x[order], MASK[order])), expected)


@each_op
@few_examples
@given(
    more=st.sampled_from([1, 3]), filling=st.sampled_from([0.0, np.nan, np.inf])
)
def test_more_padding_changes_nothing(op, more, filling):
    x = X.astype("float32")
    longer = np.pad(
        x, ((0, 0), (0, more), (0, 0)), constant_values=np.float32(filling)
    )
    valid = np.pad(MASK, ((0, 0), (0, more)))
    # Another length may be summed in another order.
    np.testing.assert_allclose(
        to_numpy(op(longer, valid)), to_numpy(op(x, MASK)), rtol=1e-6, atol=1e-7
    )


@each_op
@few_examples
@given(lengths=st.lists(st.integers(-1, 7), min_size=4, max_size=4))
def test_lengths_do_what_their_mask_does(op, lengths):
    x = X.astype("float32")
    mask = np.array([[t < n for t in range(6)] for n in lengths])
    by_lengths = op(x, lengths_to_mask(np.array(lengths), x))
    by_mask = op(x, ops.convert_to_tensor(mask))
    # OpenVINO compiles both as one graph, which may round otherwise.
    np.testing.assert_allclose(
        to_numpy(by_lengths), to_numpy(by_mask), rtol=1e-6, atol=1e-7
    )


@pytest.mark.skipif(
    BACKEND == "openvino",
    reason="it ends the process (docs/upstream/openvino_no_steps.py)",
)
@each_dtype
@each_pool
@pytest.mark.parametrize("shape", [(2, 0, 3), (0, 4, 3), (0, 0, 3)])
def test_nothing_pools_to_zeros(mode, dtype, shape):
    got = pooled(mode, dtype, np.zeros(shape), np.zeros(shape[:2], bool))
    np.testing.assert_array_equal(got, np.zeros((shape[0], 3)))
