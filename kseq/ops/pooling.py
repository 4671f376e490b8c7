"""Sums, means and maxima over the steps that count."""

import math

from keras import ops

from kseq.checks import (
    check_axis,
    check_bool,
    check_min_rank,
    check_positive_int,
    check_rank,
    raise_invalid,
)
from kseq.ops.arguments import to_floats
from kseq.ops.backends import fill_steps
from kseq.ops.masks import (
    expand_mask,
    masked_softmax,
    to_valid,
    zero_padding,
)
from kseq.ops.numerics import upcast
from kseq.types import Tensor


def masked_sum(x: Tensor, valid: Tensor) -> Tensor:
    r"""$\sum_t m_{bt}\, x_{bt}$, summed in float32 where `x` is half.

    Args:
        x: float `(batch, steps, dim)`.
        valid: bool `(batch, steps)`.

    Returns:
        `(batch, dim)`, in the dtype of `x`; 0 where no step counts.

    Raises:
        ValueError: `x` is not of floats and rank 3, or `valid` no mask of its
            batch and steps.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> x = np.array([[[1.0], [2.0], [np.nan]]], "float32")
    >>> total = masked_sum(x, np.array([[True, True, False]]))
    >>> ops.convert_to_numpy(total).tolist()
    [[3.0]]
    """
    x, valid = _sequence(x, valid)
    total = ops.sum(upcast(zero_padding(x, valid)), axis=1)
    return ops.cast(total, x.dtype)


def masked_mean(x: Tensor, valid: Tensor) -> Tensor:
    r"""$\frac{1}{n_b} \sum_t m_{bt}\, x_{bt}$ with $n_b = \sum_t m_{bt}$.

    Args:
        x: float `(batch, steps, dim)`.
        valid: bool `(batch, steps)`.

    Returns:
        `(batch, dim)`, in the dtype of `x`; 0 where no step counts.

    Raises:
        ValueError: `x` is not of floats and rank 3, or `valid` no mask of its
            batch and steps.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> x = np.array([[[1.0], [2.0], [np.nan]]], "float32")
    >>> mean = masked_mean(x, np.array([[True, True, False]]))
    >>> ops.convert_to_numpy(mean).tolist()
    [[1.5]]
    """
    x, valid = _sequence(x, valid)
    wide = upcast(zero_padding(x, valid))
    steps = ops.sum(ops.cast(valid, "int32"), axis=1, keepdims=True)
    count = ops.cast(ops.where(steps > 0, steps, 1), wide.dtype)
    return ops.cast(ops.sum(wide, axis=1) / count, x.dtype)


def masked_max(x: Tensor, valid: Tensor) -> Tensor:
    r"""$\max_{t:\, m_{bt}} x_{bt}$.

    Args:
        x: float `(batch, steps, dim)`.
        valid: bool `(batch, steps)`.

    Returns:
        `(batch, dim)`, in the dtype of `x`; 0 where no step counts.

    Raises:
        ValueError: `x` is not of floats and rank 3, or `valid` no mask of its
            batch and steps.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> x = np.array([[[-1.0], [-2.0], [np.inf]]], "float32")
    >>> largest = masked_max(x, np.array([[True, True, False]]))
    >>> ops.convert_to_numpy(largest).tolist()
    [[-1.0]]
    """
    x, valid = _sequence(x, valid)
    if x.shape[0] == 0:  # TensorFlow has no largest of nothing
        return masked_sum(x, valid)
    shown = fill_steps(x, expand_mask(valid, 3), -math.inf)
    if not x.shape[1]:  # no step, or not known: one more, which never wins
        shown = ops.pad(
            shown, [[0, 0], [0, 1], [0, 0]], constant_values=-math.inf
        )
    some = ops.any(valid, axis=1, keepdims=True)
    # Not ops.max: torch.compile cannot look into Keras's
    # (docs/upstream/torch_compile_max.py).
    return ops.where(some, ops.amax(shown, axis=1), 0.0)


def _sequence(x: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    x = to_floats("x", x)
    check_rank("x", x.shape, (3,))
    return x, to_valid(valid, x)


def step_weights(
    weights: Tensor, valid: Tensor, normalize: bool = True
) -> Tensor:
    r"""The weight of each step: a softmax over the valid steps, or as given.

    Args:
        weights: float `(batch, steps)`.
        valid: bool `(batch, steps)`.
        normalize: True: $m_t e^{w_t} / \sum_u m_u e^{w_u}$; False: $m_t w_t$.

    Returns:
        `(batch, steps)`; 0 in steps that do not count.

    Raises:
        ValueError: `weights` are not of floats and rank 2, `valid` is no mask
            of their shape, or `normalize` is no bool.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> weights = np.array([[2.0, 2.0, 9.0]], "float32")
    >>> valid = np.array([[True, True, False]])
    >>> ops.convert_to_numpy(step_weights(weights, valid)).tolist()
    [[0.5, 0.5, 0.0]]
    >>> plain = step_weights(weights, valid, normalize=False)
    >>> ops.convert_to_numpy(plain).tolist()
    [[2.0, 2.0, 0.0]]
    """
    check_bool("normalize", normalize)
    weights = to_floats("weights", weights)
    check_rank("weights", weights.shape, (2,))
    valid = to_valid(valid, weights, of="weights")
    # Before a softmax, too: it would spread a single weight.
    weights = zero_padding(weights, valid)
    return masked_softmax(weights, valid) if normalize else weights


def k_max(
    x: Tensor, k: int, axis: int = 1, valid: Tensor | None = None
) -> Tensor:
    r"""The `k` largest values along `axis`, in descending order.

    Args:
        x: float `(batch, steps, ...)`, rank 2 or more.
        k: how many.
        axis: any axis but the batch; negative ones count from the end.
        valid: bool `(batch, steps)`, or None where every step counts. Steps
            that do not count never win: along the step axis a place for which
            no step is left holds 0, along any other the whole step is 0.

    Returns:
        As `x`, with `k` on `axis`.

    Raises:
        ValueError: `x` is not of floats and rank 2 or more; `k` is no positive
            integer, or larger than a known axis; `axis` is the batch or none of
            `x`; `valid` is no mask of its batch and steps.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> x = np.array([[[1.0], [3.0], [2.0]]], "float32")
    >>> ops.convert_to_numpy(k_max(x, k=2)).tolist()
    [[[3.0], [2.0]]]
    """
    x = to_floats("x", x)
    check_min_rank("x", x.shape, 2)
    rank = len(x.shape)
    axis = check_axis("axis", axis, rank)
    k = check_positive_int("k", k)
    size = x.shape[axis]
    if size is not None and k > size:
        raise_invalid("k", f"at most the size {size} of axis {axis}", k)
    along_steps = valid is not None and axis == 1
    if valid is not None:
        valid = expand_mask(to_valid(valid, x), rank)
        x = fill_steps(x, valid, -math.inf if along_steps else 0.0)
    order = list(range(rank))
    order[axis], order[-1] = order[-1], order[axis]
    top, _ = ops.top_k(ops.transpose(x, order), k, sorted=True)
    top = ops.transpose(top, order)
    if not along_steps:
        return top
    found = ops.sum(ops.cast(valid, "int32"), axis=1, keepdims=True)
    place = ops.reshape(
        ops.arange(k, dtype="int32"), (1, k, *(1 for _ in range(rank - 2)))
    )
    return ops.where(place < found, top, 0.0)
