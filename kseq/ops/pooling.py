"""Sums, means and maxima over the valid steps of a sequence."""

import math

from keras import ops

from kseq.checks import (
    check_axis,
    check_one_of,
    check_positive_int,
    raise_invalid,
)
from kseq.ops.backends import fill_steps
from kseq.ops.masks import expand_mask, masked_softmax, zero_padding
from kseq.ops.numerics import upcast
from kseq.ops.validation import STAND_INS, known, takes
from kseq.types import Tensor

# Of the weights of steps.
NORMALIZATIONS = (True, False, "sum")


@takes(x="float batch steps dim", valid="bool batch steps")
def masked_sum(x: Tensor, valid: Tensor) -> Tensor:
    r"""The sum over the valid steps.

    $$\sum_t m_{bt}\, x_{bt}$$

    Args:
        x: float `(batch, steps, dim)`; summed in float32 for half precision.
        valid: bool `(batch, steps)`.

    Returns:
        `(batch, dim)`, in the dtype of `x`; 0 where no step is valid.

    Raises:
        ValueError: `x` is not a float tensor of rank 3, or `valid` is not a
            mask of its batch and steps.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> x = np.array([[[1.0], [2.0], [np.nan]]], "float32")
    >>> total = masked_sum(x, np.array([[True, True, False]]))
    >>> ops.convert_to_numpy(total).tolist()
    [[3.0]]
    """
    total = ops.sum(upcast(zero_padding(x, valid)), axis=1)
    return ops.cast(total, x.dtype)


@takes(x="float batch steps dim", valid="bool batch steps")
def masked_mean(x: Tensor, valid: Tensor) -> Tensor:
    r"""The mean over the valid steps.

    $$\frac{\sum_t m_{bt}\, x_{bt}}{\sum_t m_{bt}}$$

    Args:
        x: float `(batch, steps, dim)`; summed in float32 for half precision.
        valid: bool `(batch, steps)`.

    Returns:
        `(batch, dim)`, in the dtype of `x`; 0 where no step is valid.

    Raises:
        ValueError: `x` is not a float tensor of rank 3, or `valid` is not a
            mask of its batch and steps.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> x = np.array([[[1.0], [2.0], [np.nan]]], "float32")
    >>> mean = masked_mean(x, np.array([[True, True, False]]))
    >>> ops.convert_to_numpy(mean).tolist()
    [[1.5]]
    """
    wide = upcast(zero_padding(x, valid))
    steps = ops.sum(ops.cast(valid, "int32"), axis=1, keepdims=True)
    count = ops.cast(ops.where(steps > 0, steps, 1), wide.dtype)
    return ops.cast(ops.sum(wide, axis=1) / count, x.dtype)


@takes(x="float batch steps dim", valid="bool batch steps")
def masked_max(x: Tensor, valid: Tensor) -> Tensor:
    r"""The maximum over the valid steps.

    $$\max_{t:\, m_{bt}} x_{bt}$$

    Args:
        x: float `(batch, steps, dim)`.
        valid: bool `(batch, steps)`.

    Returns:
        `(batch, dim)`, in the dtype of `x`; 0 where no step is valid.

    Raises:
        ValueError: `x` is not a float tensor of rank 3, or `valid` is not a
            mask of its batch and steps.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> x = np.array([[[-1.0], [-2.0], [np.inf]]], "float32")
    >>> largest = masked_max(x, np.array([[True, True, False]]))
    >>> ops.convert_to_numpy(largest).tolist()
    [[-1.0]]
    """
    if x.shape[0] == 0:  # TensorFlow has no maximum of an empty batch
        return masked_sum(x, valid)
    visible = fill_steps(x, expand_mask(valid, 3), -math.inf)
    if not known(x.shape[1]):  # there may be no step; append one of -inf
        visible = ops.pad(
            visible, [[0, 0], [0, 1], [0, 0]], constant_values=-math.inf
        )
    any_valid = ops.any(valid, axis=1, keepdims=True)
    # torch.compile cannot trace ops.max (docs/upstream/torch_compile_max.py).
    return ops.where(any_valid, ops.amax(visible, axis=1), 0.0)


@takes(valid="bool batch steps", weights="float batch steps")
def step_weights(
    weights: Tensor, valid: Tensor, normalize: bool | str = True
) -> Tensor:
    r"""The weight of each step: normalized over the valid steps, or as given.

    Args:
        weights: float `(batch, steps)`.
        valid: bool `(batch, steps)`.
        normalize: True: $m_t e^{w_t} / \sum_u m_u e^{w_u}$; "sum":
            $m_t w_t / \sum_u m_u w_u$; False: $m_t w_t$.

    Returns:
        `(batch, steps)`; 0 in padded steps, and with "sum" in rows whose
        weights sum to 0.

    Raises:
        ValueError: `weights` is not a float tensor of rank 2, `valid` is not a
            mask of its shape, or `normalize` is none of these.

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
    check_one_of("normalize", normalize, NORMALIZATIONS)
    weights = zero_padding(weights, valid)
    if normalize == "sum":
        wide = upcast(weights)
        total = ops.sum(wide, axis=1, keepdims=True)
        is_zero = total == 0.0
        fractions = wide / ops.where(is_zero, 1.0, total)
        return ops.cast(ops.where(is_zero, 0.0, fractions), weights.dtype)
    return masked_softmax(weights, valid) if normalize else weights


@takes(x="float batch steps ...", valid="bool batch steps")
def k_max(
    x: Tensor, k: int, axis: int = 1, valid: Tensor | None = None
) -> Tensor:
    r"""The `k` largest values along `axis`, in descending order.

    Args:
        x: float `(batch, steps, ...)`, rank 2 or more.
        k: the number of values.
        axis: any axis but the batch; negative ones count from the end.
        valid: bool `(batch, steps)`; None: all steps are valid. Padded steps
            are never among the largest: along the step axis, entries beyond the
            number of valid steps are 0; along any other axis the whole padded
            step is 0.

    Returns:
        As `x`, with size `k` on `axis`.

    Raises:
        ValueError: `x` is not a float tensor of rank 2 or more; `k` is not a
            positive integer, or exceeds a known size; `axis` is out of range;
            `valid` is not a mask of the batch and steps of `x`.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> x = np.array([[[1.0], [3.0], [2.0]]], "float32")
    >>> ops.convert_to_numpy(k_max(x, k=2)).tolist()
    [[[3.0], [2.0]]]
    """
    rank = len(x.shape)
    axis = check_axis("axis", axis, rank)
    k = check_positive_int("k", k)
    size = known(x.shape[axis])
    if size is not None and k > size:
        raise_invalid("k", f"at most the size {size} of axis {axis}", k)
    along_steps = valid is not None and axis == 1
    if valid is not None:
        valid = expand_mask(valid, rank)
        x = fill_steps(x, valid, -math.inf if along_steps else 0.0)
    order = list(range(rank))
    order[axis], order[-1] = order[-1], order[axis]
    x = ops.transpose(x, order)
    if x.shape[-1] in STAND_INS:  # the real size may be less than k
        widths = [[0, 0]] * (rank - 1) + [[0, k]]
        x = ops.pad(x, widths, constant_values=-math.inf)
    top, _ = ops.top_k(x, k, sorted=True)
    top = ops.transpose(top, order)
    if not along_steps:
        return top
    found = ops.sum(ops.cast(valid, "int32"), axis=1, keepdims=True)
    place = ops.reshape(
        ops.arange(k, dtype="int32"), (1, k, *(1,) * (rank - 2))
    )
    return ops.where(place < found, top, 0.0)
