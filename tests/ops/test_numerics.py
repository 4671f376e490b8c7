import keras
import numpy as np
import pytest
from keras import ops

from kseq.ops import (
    l2_normalize,
    layer_normalize,
    linear,
    moments,
    tanh,
    upcast,
)
from kseq.ops.dtypes import HALF_DTYPES, LOWEST, dtype_of
from tests.arrays import to_numpy
from tests.cases import MASK
from tests.ops.compute import (
    BACKEND,
    X,
    assert_close,
    compute,
    draw,
    each_dtype,
    gradient,
    needs_gradients,
    tensor,
)

float64_here = pytest.mark.skipif(
    "float64" not in each_dtype.args[1],
    reason=f"{BACKEND} computes float64 in 32 bits",
)
each_wide_dtype = pytest.mark.parametrize(
    "dtype", [d for d in each_dtype.args[1] if d not in HALF_DTYPES]
)


@pytest.mark.parametrize("dtype", HALF_DTYPES)
def test_halves_become_float32(dtype):
    x = ops.cast(np.array([1.5, -2.0, 0.0], "float32"), dtype)
    wide = upcast(x)
    assert dtype_of(wide) == "float32"
    assert to_numpy(wide).tolist() == [1.5, -2.0, 0.0]


@each_wide_dtype
def test_wider_floats_stay_as_they_are(dtype):
    np.testing.assert_array_equal(compute(upcast, dtype, X), X.astype(dtype))


@pytest.mark.parametrize("dtype", LOWEST)
def test_lowest_is_the_least_finite_number(dtype):
    info = np.finfo if dtype != "bfloat16" else keras_finfo
    assert LOWEST[dtype] == float(info(dtype).min)


def keras_finfo(dtype):
    import ml_dtypes  # Keras needs it: NumPy has no bfloat16

    return ml_dtypes.finfo(dtype)


@each_dtype
@pytest.mark.parametrize("shape", [(8, 5), (4, 2, 5), (2, 2, 2, 5)])
def test_linear_is_a_product_over_the_last_axis(dtype, shape):
    x, kernel, bias = draw("x", *shape), draw("w", 5, 3), draw("b", 3)
    got = compute(linear, dtype, x, kernel, bias)
    assert_close(got, x @ kernel + bias, dtype)


def test_linear_without_a_bias():
    x, kernel = draw("x", 4, 2, 5), draw("w", 5, 3)
    got = compute(linear, "float32", x, kernel)
    assert_close(got, x @ kernel, "float32")


def test_linear_of_one_of_each():
    x, kernel = np.array([[[3.0]]]), np.array([[0.5]])
    assert compute(linear, "float32", x, kernel).tolist() == [[[1.5]]]


# Keras's NumPy backend traces with arrays that it has not filled.
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_linear_where_sizes_are_not_known():
    class Linear(keras.layers.Layer):
        def call(self, x):
            return linear(x, np.ones((5, 3), "float32"))

    symbols = keras.Input((None, 5))
    y = Linear()(symbols)
    assert y.shape == (None, None, 3)
    x = np.ones((2, 7, 5), "float32")
    got = to_numpy(keras.Model(symbols, y)(x))
    np.testing.assert_array_equal(got, np.full((2, 7, 3), 5.0))


@each_dtype
def test_tanh(dtype):
    x = np.array([-25.0, -20.5, -3.0, -0.5, 0.0, 0.5, 3.0, 20.5, 25.0])
    assert_close(compute(tanh, dtype, x), np.tanh(x), dtype)


@float64_here
def test_tanh_keeps_float64():
    x = np.concatenate(
        [np.linspace(-25, 25, 501), [0.0, 1e-12, -1e-12, 1e-300, 1e4, -1e4]]
    )
    got = compute(tanh, "float64", x)
    # Relative, so near 0 too: 1e-12 must not be rounded to a multiple of 1e-16.
    np.testing.assert_allclose(got, np.tanh(x), rtol=1e-15)


@each_dtype
def test_tanh_is_exact_at_zero_and_far_away(dtype):
    x = np.array([0.0, 25.0, -25.0, np.inf, -np.inf, 1e-12, -1e-12])
    with np.errstate(under="ignore"):
        small = float(tensor_value(1e-12, dtype))
    got = compute(tanh, dtype, x)
    expected = [0.0, 1.0, -1.0, 1.0, -1.0, small, -small]
    np.testing.assert_allclose(got.astype("float64"), expected, rtol=1e-6)


def tensor_value(x, dtype):
    """A number as `dtype` holds it: float16 has no 1e-12."""
    if dtype == "float64":
        return x
    return to_numpy(ops.cast(tensor(np.array(x), dtype), "float32"))


@each_dtype
def test_tanh_of_nan_is_nan(dtype):
    got = compute(tanh, dtype, np.array([np.nan, 1.0]))
    assert np.isnan(got.astype("float64")).tolist() == [True, False]


@needs_gradients
def test_tanh_has_its_gradient():
    x = np.array([-25.0, -1.0, 0.0, 1e-6, 2.0, 25.0])
    np.testing.assert_allclose(gradient(tanh, x), 1 - np.tanh(x) ** 2, 1e-5)


def moments_of(x, axes, valid=None):
    """Stacked, so that one array holds all three."""
    return ops.stack(moments(x, axes, valid))


@each_wide_dtype
@pytest.mark.parametrize("axes", [(0, 1), (0,), (2,)])
def test_moments_of_everything(dtype, axes):
    got = compute(moments_of, dtype, X, axes)
    count = np.prod([X.shape[axis] for axis in axes])
    mean = X.mean(axis=axes, keepdims=True)
    expected = [mean, X.var(axis=axes, keepdims=True)]
    expected.append(np.full(mean.shape, count))
    assert_close(got, np.stack(expected), dtype)


@each_wide_dtype
@pytest.mark.parametrize("filling", [np.nan, np.inf, -np.inf, 1e4, 3e38])
def test_moments_of_the_valid_entries(dtype, filling):
    valid = MASK[..., None]
    got = compute(moments_of, dtype, np.where(valid, X, filling), (0, 1), valid)
    steps = X[MASK]
    expected = [steps.mean(axis=0), steps.var(axis=0), np.full(3, len(steps))]
    assert_close(got, np.stack(expected)[:, None, None], dtype)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (6, 1), (1, 6, 1)])
@pytest.mark.parametrize("axes", [(0,), (1,), (0, 2)])
def test_a_mask_of_moments_spreads_as_any_operand(shape, axes):
    valid = np.arange(np.prod(shape)).reshape(shape) % 2 == 0
    whole = np.broadcast_to(valid, X.shape)
    got = compute(moments_of, "float32", X, axes, valid)
    expected = compute(moments_of, "float32", X, axes, whole)
    np.testing.assert_allclose(got, expected, 1e-6, 1e-6)


@each_wide_dtype
@pytest.mark.parametrize("filling", [0.0, np.nan, np.inf])
def test_moments_of_nothing_are_zero(dtype, filling):
    x, nothing = np.full_like(X, filling), np.zeros((4, 6, 1), bool)
    got = compute(moments_of, dtype, x, (0, 1), nothing)
    np.testing.assert_array_equal(got, np.zeros((3, 1, 1, 3)))


def test_one_entry_varies_by_nothing():
    got = compute(moments_of, "float32", np.array([[[-7.0]]]), (0, 1))
    assert got.ravel().tolist() == [-7.0, 0.0, 1.0]


def test_the_variance_of_far_numbers_is_not_lost():
    # E[x^2] - E[x]^2 would leave nothing of it in float32.
    x = 8192.0 + np.array([[[-1.0], [1.0]]])
    got = compute(moments_of, "float32", x, (0, 1))
    assert got.ravel().tolist() == [8192.0, 1.0, 2.0]


@pytest.mark.parametrize("dtype", HALF_DTYPES)
def test_moments_of_halves_are_those_of_their_float32(dtype):
    x = ops.cast(np.full((1, 4096, 1), 0.1, "float32"), dtype)
    mean, variance, count = moments(upcast(x), (0, 1))
    one = float(to_numpy(ops.cast(x, "float32"))[0, 0, 0])
    np.testing.assert_allclose(to_numpy(mean).ravel(), one, rtol=1e-5)
    np.testing.assert_allclose(to_numpy(variance).ravel(), 0, atol=1e-9)
    assert to_numpy(count).ravel().tolist() == [4096.0]


@needs_gradients
def test_the_variance_has_its_gradient():
    def variance(x):
        return moments(x, (0, 1), MASK[..., None])[1]

    kept = np.where(MASK[..., None], X, 0.0)
    count = MASK.sum()
    centred = X - kept.sum(axis=(0, 1)) / count
    expected = np.where(MASK[..., None], 2 * centred / count, 0.0)
    np.testing.assert_allclose(
        gradient(variance, kept), expected, rtol=1e-4, atol=1e-6
    )


@needs_gradients
@pytest.mark.parametrize("filling", [np.nan, np.inf])
def test_no_gradient_goes_through_entries_that_do_not_count(filling):
    valid = MASK[..., None]

    def variance(x):
        return moments(x, (0, 1), valid)[1]

    got = gradient(variance, np.where(valid, X, filling))
    assert np.all(np.isfinite(got))
    assert np.all(got[~MASK] == 0)


def test_moments_take_numpy_arrays():
    mean, _, _ = moments(np.array([[[1.0], [3.0]]], "float32"), (0, 1))
    assert to_numpy(mean).tolist() == [[[2.0]]]


def test_what_is_shorter_than_a_millionth_is_not_made_longer():
    x = np.array([[6e-8, 8e-8], [3.0, -4.0]], "float32")
    got = to_numpy(l2_normalize(x))
    np.testing.assert_allclose(got, [[0.06, 0.08], [0.6, -0.8]], rtol=1e-6)


@pytest.mark.parametrize("value", [0.1, 12345.678, 1.1e30])
def test_equal_numbers_vary_by_nothing(value):
    x = np.full((1, 7, 1), value)
    _, variance, _ = compute(moments_of, "float32", x, (0, 1))
    assert variance.ravel().tolist() == [0.0]
    got = compute(layer_normalize, "float32", x[..., 0], 1.0, 0.0)
    assert got.tolist() == [[0.0] * 7]


def test_squares_beyond_float32_do_no_harm():
    # A row: of a vector alone OpenVINO makes an operation of its own, and 0.
    x = np.array([[1e30, -1e30, 2e30]])
    got = compute(layer_normalize, "float32", x, 1.0, 0.0)
    np.testing.assert_allclose(got, (x - x.mean()) / x.std(), rtol=1e-6)
    got = compute(l2_normalize, "float32", x)
    np.testing.assert_allclose(got, np.array([[1, -1, 2]]) / 6**0.5, rtol=1e-6)


def test_moments_count_what_is_spread():
    valid = np.array([[[True], [True], [False]]])
    _, _, count = moments(np.ones((1, 3, 4), "float32"), (1, 2), valid)
    assert to_numpy(count).ravel().tolist() == [8.0]
