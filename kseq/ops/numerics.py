"""Functions that keep the precision of their inputs on every backend.

Keras computes several operations in 32 bits for inputs of 64 (``ops.matmul`` on
PyTorch, ``ops.tanh`` and ``ops.mean`` on JAX, its ``Dense`` and
``BatchNormalization`` layers), and sums in half precision lose digits. kseq
uses the functions below instead. docs/upstream has a script for each fault,
such as jax_mean_float64. `kseq.ops.linear` replaces ``ops.matmul``.
"""

from collections.abc import Sequence

from keras import ops

from kseq.checks import check_min_rank, check_nonnegative, raise_invalid
from kseq.ops.dtypes import HALF_DTYPES, dtype_of
from kseq.ops.validation import takes
from kseq.types import Tensor

# Added to the score of a masked key: it dominates any score and can be added
# twice without overflow.
MASKED_SCORE = -1e30

# Squares of numbers up to this one, and their sums, do not overflow float32.
MAX_SQUARABLE = 1e15


def upcast(x: Tensor) -> Tensor:
    """Cast half precision to float32; keep wider floats.

    For sums and statistics, which need more than half precision.

    Args:
        x: float tensor of any shape.

    Returns:
        `x` in float32 or wider.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> x = np.array([2048.0, 1.0], "float16")
    >>> float(x.sum(dtype="float16")), float(ops.sum(upcast(x)))
    (2048.0, 2049.0)
    """
    return ops.cast(x, "float32") if dtype_of(x) in HALF_DTYPES else x


def step_numbers(x: Tensor) -> Tensor:
    """The numbers 1, 2, ... of the steps of x: float32 `(1, steps)`."""
    steps = x.shape[1]
    if steps is not None:
        return ops.arange(1, steps + 1, dtype="float32")[None]
    # A cumulative sum, since exporters reject arange of an unknown size. Only
    # here, since XLA computes the whole sum again for each element.
    first = x[(slice(1), slice(None), *(0,) * (len(x.shape) - 2))]
    # The sum is 0 where the batch is empty.
    ones = ops.sum(ops.ones_like(first, "float32"), axis=0, keepdims=True) >= 0
    return ops.cumsum(ops.cast(ones, "float32"), axis=1)


@takes(x="float ...")
def tanh(x: Tensor) -> Tensor:
    r"""The hyperbolic tangent, in the precision of its input.

    (``ops.tanh`` rounds float64 to 32 bits on JAX.)

    Args:
        x: float tensor of any shape.

    Returns:
        $\tanh x$, in the dtype of `x`.

    Raises:
        ValueError: `x` is not a float tensor.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> y = tanh(np.array([-30.0, 0.0, 30.0], "float32"))
    >>> ops.convert_to_numpy(y).tolist()
    [-1.0, 0.0, 1.0]
    """
    if dtype_of(x) != "float64":
        return ops.tanh(x)
    # Above 20 the result is 1 to the last bit, and expm1 would overflow.
    e = ops.expm1(2.0 * ops.clip(x, -20.0, 20.0))
    return e / (e + 2.0)


def moments(
    x: Tensor, axes: Sequence[int], valid: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Mean and variance over the valid entries.

    $$\mu = \frac1n \sum x, \quad \sigma^2 = \frac1n \sum (x - \mu)^2$$

    Args:
        x: `(batch, ..., dim)`, float32 or float64.
        axes: the axes to average over.
        valid: bool, of the rank of `x` and broadcastable to it; None: all
            entries are valid.

    Returns:
        `(mean, variance, count)`, each with size 1 on `axes`; `count` is the
        number of valid entries. Where none is valid all three are 0.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> x = ops.convert_to_tensor([[[1.0], [3.0], [99.0]]])
    >>> valid = np.array([[[True], [True], [False]]])
    >>> mean, variance, count = moments(x, axes=(0, 1), valid=valid)
    >>> float(mean[0, 0, 0]), float(variance[0, 0, 0]), float(count[0, 0, 0])
    (2.0, 1.0, 2.0)
    """
    count = _count(x, axes, valid)
    divisor = ops.where(count > 0, count, 1.0)
    mean, centred = _centre(x, axes, divisor, valid)
    return mean, _total(centred * centred, axes) / divisor, count


def _total(x: Tensor, axes: Sequence[int]) -> Tensor:
    return ops.sum(x, axis=tuple(axes), keepdims=True)


def _count(x: Tensor, axes: Sequence[int], valid: Tensor | None) -> Tensor:
    """The number of valid entries, in the shape of a sum over x."""
    if valid is None:
        return _total(ops.ones_like(x), axes)
    count = _total(ops.cast(valid, x.dtype), axes)
    for axis in axes:
        if valid.shape[axis] == 1:  # broadcast
            count = count * ops.cast(ops.shape(x)[axis], x.dtype)
    # The sum's shape, from zeros, since a sum of padding may overflow.
    return count + _total(ops.zeros_like(x), axes)


def _select(x: Tensor, valid: Tensor | None) -> Tensor:
    return x if valid is None else ops.where(valid, x, 0.0)


def _centre(
    x: Tensor,
    axes: Sequence[int],
    count: Tensor | int,
    valid: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The mean of the valid entries, and x minus it; 0 where not valid.

    Centred twice: the mean of equal numbers may be wrong by a rounding error,
    and beside that of 1e4 an epsilon of 1e-9 vanishes.
    """
    mean = ops.stop_gradient(_total(_select(x, valid), axes) / count)
    # Selected before squaring, so that the gradient of the rest is 0.
    centred = _select(x - mean, valid)
    rest = _total(centred, axes) / count
    return mean + rest, _select(centred - rest, valid)


def _safe_scale(x: Tensor) -> Tensor:
    """A divisor that keeps squares from overflowing; usually 1."""
    size = ops.sum(ops.abs(x), axis=-1, keepdims=True)
    return ops.stop_gradient(ops.where(size > MAX_SQUARABLE, size, 1.0))


@takes(x="float ...", gamma="float ...", beta="float ...")
def layer_normalize(
    x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float = 1e-9
) -> Tensor:
    r"""Layer normalization over the last axis.

    $$\gamma \odot \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta$$

    Computed in float32 for half precision. (Keras's ``LayerNormalization``
    rounds 64 bits to 32.)

    Args:
        x: float `(..., dim)`.
        gamma: float `(dim,)`, or a scalar.
        beta: as `gamma`.
        epsilon: at least 0; avoids a division by 0 where entries are constant.

    Returns:
        As `x`.

    Raises:
        ValueError: an argument is not a float tensor, `gamma` or `beta` does
            not fit `x`, or `epsilon` is negative.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> y = layer_normalize(np.array([1.0, 3.0], "float32"), 1.0, 0.0)
    >>> ops.convert_to_numpy(y).round(4).tolist()
    [-1.0, 1.0]
    """
    check_min_rank("x", x.shape, 1)
    check_nonnegative("epsilon", epsilon)
    for name, weight in (("gamma", gamma), ("beta", beta)):
        if tuple(weight.shape) not in ((), (x.shape[-1],)):
            expected = f"shape () or ({x.shape[-1]},)"
            raise_invalid(name, expected, tuple(weight.shape))
    wide = upcast(x)
    dim = wide.shape[-1]
    _, centred = _centre(wide, (-1,), dim)
    size = _safe_scale(centred)
    centred = centred / size
    variance = _total(centred * centred, (-1,)) / dim
    y = centred / ops.sqrt(variance + epsilon / size / size)
    gamma, beta = ops.cast(gamma, wide.dtype), ops.cast(beta, wide.dtype)
    return ops.cast(y * gamma + beta, x.dtype)


@takes(x="float ...")
def l2_normalize(x: Tensor) -> Tensor:
    r"""Scale the last axis to length 1; zeros stay zeros.

    $$\frac{x}{\max(\lVert x \rVert_2, 10^{-6})}$$

    Args:
        x: float `(..., dim)`; summed in float32 for half precision.

    Returns:
        As `x`. The gradient at 0 is finite.

    Raises:
        ValueError: `x` is not a float tensor, or has no axis.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> y = l2_normalize(np.array([3.0, 4.0], "float32"))
    >>> [round(float(v), 4) for v in ops.convert_to_numpy(y)]
    [0.6, 0.8]
    """
    check_min_rank("x", x.shape, 1)
    wide = upcast(x)
    wide = wide / _safe_scale(wide)
    squares = ops.sum(wide * wide, axis=-1, keepdims=True)
    # ops.maximum rounds 64 bits to 32 on PyTorch
    # (docs/upstream/torch_maximum_float64.py).
    squares = ops.where(squares > 1e-12, squares, 1e-12)
    return ops.cast(wide / ops.sqrt(squares), x.dtype)
