"""Forms that keep the precision that they are given, on every backend.

Keras computes several operations in 32 bits although their inputs have 64
(``ops.matmul`` on PyTorch, ``ops.tanh`` and ``ops.mean`` on JAX, its ``Dense``
and ``BatchNormalization`` layers), and half precision sums lose digits. kseq's
own mathematics goes through the forms below instead. docs/upstream shows it:
torch_matmul_float64, jax_tanh_float64, torch_mean_float64, jax_mean_float64.
"""

from collections.abc import Sequence

from keras import ops

from kseq.checks import (
    check_axis,
    check_items,
    check_min_rank,
    check_nonnegative,
    raise_invalid,
)
from kseq.ops.arguments import (
    Sizes,
    check_axes,
    check_spreads,
    to_bools,
    to_floats,
)
from kseq.ops.dtypes import HALF_DTYPES, dtype_of
from kseq.types import Tensor

# Added to a score, it leaves nothing of it, and twice it is still finite.
NEVER = -1e30

# Up to this a float32 has a square, and sums of squares do not overflow.
LARGE = 1e15


def upcast(x: Tensor) -> Tensor:
    """float16 and bfloat16 to float32; wider floats as they are.

    For sums and statistics, which half precision spoils.

    Args:
        x: float tensor of any shape.

    Returns:
        `x` in float32 or wider.

    Raises:
        ValueError: `x` is no tensor of floats.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> x = np.array([2048.0, 1.0], "float16")
    >>> float(x.sum(dtype="float16")), float(ops.sum(upcast(x)))
    (2048.0, 2049.0)
    """
    x = to_floats("x", x)
    return ops.cast(x, "float32") if dtype_of(x) in HALF_DTYPES else x


def step_numbers(x: Tensor) -> Tensor:
    """1, 2, ... for the steps of `(batch, steps, ...)`: float32 `(1, steps)`.

    Floats, which a loop can hand on as all else.
    """
    steps = x.shape[1]
    if steps is not None:
        return ops.arange(1, steps + 1, dtype="float32")[None]
    # A running count, since exporters refuse arange here. Not always, since XLA
    # counts anew for each number.
    first = x[(slice(1), slice(None), *(0,) * (len(x.shape) - 2))]
    # The sum is 0 where the batch is empty.
    ones = ops.sum(ops.ones_like(first, "float32"), axis=0, keepdims=True) >= 0
    return ops.cumsum(ops.cast(ones, "float32"), axis=1)


def linear(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    r"""A dense layer's sum over the last axis: $x W + b$.

    Operators and one 2-D product: ``ops.matmul`` would round 64 bits to 32 on
    PyTorch, and a product of higher rank is slower on JAX.

    Args:
        x: float `(..., dim)`.
        kernel: float `(dim, units)`, taken in the dtype of `x`.
        bias: float `(units,)`, as `kernel`, or None for none.

    Returns:
        `(..., units)`, in the dtype of `x`.

    Raises:
        ValueError: an argument is not of floats, or shapes do not fit.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> x = np.array([[[1.0, 2.0]]], "float32")
    >>> kernel = np.array([[1.0], [10.0]], "float32")
    >>> y = linear(x, kernel, bias=np.array([0.5], "float32"))
    >>> ops.convert_to_numpy(y).tolist()
    [[[21.5]]]
    """
    x = to_floats("x", x)
    check_min_rank("x", x.shape, 1)
    sizes: Sizes = {"dim": x.shape[-1]}
    kernel = to_floats("kernel", kernel, ("dim", "units"), sizes)
    flat = ops.reshape(x, (-1, x.shape[-1]))
    out = flat @ ops.cast(kernel, x.dtype)
    if bias is not None:
        bias = to_floats("bias", bias, ("units",), sizes)
        out = out + ops.cast(bias, x.dtype)
    return ops.reshape(out, (*ops.shape(x)[:-1], kernel.shape[-1]))


def tanh(x: Tensor) -> Tensor:
    r"""$\tanh x$ that keeps float64 (``ops.tanh`` does not on JAX).

    Args:
        x: float tensor of any shape.

    Returns:
        The hyperbolic tangent, in the dtype of `x`.

    Raises:
        ValueError: `x` is no tensor of floats.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> y = tanh(np.array([-30.0, 0.0, 30.0], "float32"))
    >>> ops.convert_to_numpy(y).tolist()
    [-1.0, 0.0, 1.0]
    """
    x = to_floats("x", x)
    if dtype_of(x) != "float64":
        return ops.tanh(x)
    # Beyond 20 the result is 1 to the last bit, and expm1 would overflow.
    e = ops.expm1(2.0 * ops.clip(x, -20.0, 20.0))
    return e / (e + 2.0)


def moments(
    x: Tensor, axes: Sequence[int], valid: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Mean and variance over the valid entries.

    $$\mu = \frac1n \sum x, \quad \sigma^2 = \frac1n \sum (x - \mu)^2$$

    ``ops.mean`` and ``ops.var`` round 64 bits to 32, and know no mask.

    Args:
        x: `(batch, ..., dim)`, float32 or float64.
        axes: the axes that are averaged over.
        valid: bool, broadcastable to `x`: True where an entry counts. None: all
            count.

    Returns:
        `(mean, variance, count)`, each with size 1 on `axes`; `count` is the
        number of entries behind a mean. Where nothing counts all three are 0.

    Raises:
        ValueError: `x` is no tensor of floats, one of `axes` is none of its
            axes or there twice, or `valid` is no mask or does not spread to
            `x`.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> x = ops.convert_to_tensor([[[1.0], [3.0], [99.0]]])
    >>> valid = np.array([[[True], [True], [False]]])
    >>> mean, variance, count = moments(x, axes=(0, 1), valid=valid)
    >>> float(mean[0, 0, 0]), float(variance[0, 0, 0]), float(count[0, 0, 0])
    (2.0, 1.0, 2.0)
    """
    x = to_floats("x", x)
    rank = len(x.shape)
    axes = [
        check_axis("axes", axis, rank, first=0)
        for axis in check_items("axes", axes, object, "a sequence of axes")
    ]
    if len({*axes}) < len(axes):
        raise_invalid("axes", "axes that differ", axes)
    if valid is not None:
        valid = to_bools("valid", valid)
        check_spreads("valid", valid.shape, x.shape)
        for _ in range(rank - len(valid.shape)):
            valid = ops.expand_dims(valid, 0)

    count = _count(x, axes, valid)
    divisor = ops.where(count > 0, count, 1.0)
    mean, centred = _centre(x, axes, divisor, valid)
    return mean, _total(centred * centred, axes) / divisor, count


def _total(x: Tensor, axes: Sequence[int]) -> Tensor:
    return ops.sum(x, axis=tuple(axes), keepdims=True)


def _count(x: Tensor, axes: Sequence[int], valid: Tensor | None) -> Tensor:
    """How many entries of `axes` are valid: as the sum over x has it."""
    if valid is None:
        return _total(ops.ones_like(x), axes)
    count = _total(ops.cast(valid, x.dtype), axes)
    for axis in axes:
        if valid.shape[axis] == 1:  # it is spread
            count = count * ops.cast(ops.shape(x)[axis], x.dtype)
    # Its shape: of zeros, since a sum of padding may overflow.
    return count + _total(ops.zeros_like(x), axes)


def _counting(x: Tensor, valid: Tensor | None) -> Tensor:
    return x if valid is None else ops.where(valid, x, 0.0)


def _centre(
    x: Tensor,
    axes: Sequence[int],
    count: Tensor | int,
    valid: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The mean of `count` valid entries, and x without it; 0 where not valid.

    The mean of equal numbers may be off by a rounding of theirs, and beside
    that of 1e4 an epsilon of 1e-9 is nothing. So what is left is centred again.
    """
    mean = ops.stop_gradient(_total(_counting(x, valid), axes) / count)
    # Selected before it is squared: the gradient of what is left out is 0.
    centred = _counting(x - mean, valid)
    rest = _total(centred, axes) / count
    return mean + rest, _counting(centred - rest, valid)


def _size(x: Tensor) -> Tensor:
    """What to divide by before the last axis is squared: mostly 1.

    The square of 1e30 is beyond float32.
    """
    size = ops.sum(ops.abs(x), axis=-1, keepdims=True)
    return ops.stop_gradient(ops.where(size > LARGE, size, 1.0))


def layer_normalize(
    x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float = 1e-9
) -> Tensor:
    r"""$\gamma \odot (x - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta$.

    Mean and variance are of the last axis, in float32 where `x` is half;
    ``keras.layers.LayerNormalization`` rounds 64 bits to 32.

    Args:
        x: float `(..., dim)`.
        gamma: float `(dim,)`, or one number.
        beta: as `gamma`.
        epsilon: at least 0; keeps constant entries from a division by 0.

    Returns:
        As `x`.

    Raises:
        ValueError: an argument is not of floats, `gamma` or `beta` does not fit
            `x`, or `epsilon` is negative.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> y = layer_normalize(np.array([1.0, 3.0], "float32"), 1.0, 0.0)
    >>> ops.convert_to_numpy(y).round(4).tolist()
    [-1.0, 1.0]
    """
    x = to_floats("x", x)
    check_min_rank("x", x.shape, 1)
    check_nonnegative("epsilon", epsilon)
    gamma, beta = to_floats("gamma", gamma), to_floats("beta", beta)
    for name, weight in (("gamma", gamma), ("beta", beta)):
        if len(weight.shape):
            check_axes(name, weight.shape, ("dim",), {"dim": x.shape[-1]})
    wide = upcast(x)
    dim = wide.shape[-1]
    _, centred = _centre(wide, (-1,), dim)
    size = _size(centred)
    centred = centred / size
    variance = _total(centred * centred, (-1,)) / dim
    y = centred / ops.sqrt(variance + epsilon / size / size)
    gamma, beta = ops.cast(gamma, wide.dtype), ops.cast(beta, wide.dtype)
    return ops.cast(y * gamma + beta, x.dtype)


def l2_normalize(x: Tensor) -> Tensor:
    r"""$x / \max(\lVert x \rVert_2, 10^{-6})$ over the last axis.

    So 0 for 0, gradient too.

    Args:
        x: float `(..., dim)`; summed in float32 where it is half.

    Returns:
        As `x`.

    Raises:
        ValueError: `x` is no tensor of floats, or has no axis.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> y = l2_normalize(np.array([3.0, 4.0], "float32"))
    >>> [round(float(v), 4) for v in ops.convert_to_numpy(y)]
    [0.6, 0.8]
    """
    x = to_floats("x", x)
    check_min_rank("x", x.shape, 1)
    wide = upcast(x)
    wide = wide / _size(wide)
    squares = ops.sum(wide * wide, axis=-1, keepdims=True)
    # A select and not ops.maximum, which rounds 64 bits on PyTorch
    # (docs/upstream/torch_maximum_float64.py).
    squares = ops.where(squares > 1e-12, squares, 1e-12)
    return ops.cast(wide / ops.sqrt(squares), x.dtype)
