"""Masks of padded sequences.

A mask is a bool tensor `(batch, steps)`, True where a step is valid. Padding is
removed by a select and never by a product, since 0 times NaN is NaN.
"""

import math

from keras import ops

from kseq.checks import check_axis, check_min_rank, raise_invalid
from kseq.ops.backends import fill_steps
from kseq.ops.dtypes import LOWEST, dtype_of
from kseq.ops.numerics import step_numbers, upcast
from kseq.ops.validation import check_broadcastable, known, takes
from kseq.types import Tensor


@takes(x="any batch steps ...", lengths="lengths batch")
def lengths_to_mask(lengths: Tensor, x: Tensor) -> Tensor:
    r"""The mask in which the first `lengths` steps are valid.

    $$m_{bt} = [t < n_b]$$

    Args:
        lengths: `(batch,)` or `(batch, 1)`, integers of any dtype or whole
            floats. Clipped to [0, steps]; NaN counts as 0, and 2.7 as 2.
        x: `(batch, steps, ...)`, the sequences; only the shape is used.

    Returns:
        bool `(batch, steps)`.

    Raises:
        ValueError: `lengths` are not numbers or have another shape or batch
            size; `x` is not a tensor of rank 2 or more.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> valid = lengths_to_mask(np.array([3, 0]), np.zeros((2, 4, 8)))
    >>> ops.convert_to_numpy(valid).tolist()
    [[True, True, True, False], [False, False, False, False]]
    """
    return step_numbers(x) <= lengths


@takes(
    x="any batch steps ...",
    mask="bool batch steps",
    lengths="lengths batch",
)
def resolve_mask(
    x: Tensor, mask: Tensor | None = None, lengths: Tensor | None = None
) -> Tensor:
    r"""The valid steps, from a mask, from lengths, or from both.

    Args:
        x: `(batch, steps, ...)`, the sequences; only the shape is used.
        mask: bool `(batch, steps)`, or integers, of which 0 is False.
        lengths: `(batch,)` or `(batch, 1)`, see `lengths_to_mask`.

    Returns:
        bool `(batch, steps)`: True where all that were given are True; all
        True where neither was given.

    Raises:
        ValueError: `mask` or `lengths` does not fit `x` or has a wrong dtype;
            `x` is not a tensor of rank 2 or more.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> x = np.zeros((2, 3, 8))
    >>> mask = np.array([[True, False, True], [True, True, True]])
    >>> valid = resolve_mask(x, mask, lengths=np.array([3, 1]))
    >>> ops.convert_to_numpy(valid).tolist()
    [[True, False, True], [True, False, False]]
    """
    if lengths is None and mask is None:
        first = (0,) * (len(x.shape) - 2)
        return ops.ones_like(x[(slice(None), slice(None), *first)], "bool")
    if lengths is None:
        return mask
    within = step_numbers(x) <= lengths
    return within if mask is None else ops.logical_and(mask, within)


def expand_mask(mask: Tensor, rank: int) -> Tensor:
    """The mask with trailing axes of size 1, up to `rank`."""
    for _ in range(rank - len(mask.shape)):
        mask = ops.expand_dims(mask, -1)
    return mask


@takes(x="any ...", valid="bool ...")
def zero_padding(x: Tensor, valid: Tensor) -> Tensor:
    r"""The sequences with 0 in every padded step.

    $x_{bt}$ where $m_{bt}$, else 0. Values in padded steps, including NaN and
    infinity, affect neither the result nor its gradient.

    Args:
        x: `(batch, steps, ...)`, numbers or bools.
        valid: bool `(batch, steps)`, or of any other number of leading axes of
            `x`.

    Returns:
        As `x`.

    Raises:
        ValueError: `valid` is not a mask, or its axes are not the leading ones
            of `x`; it is not broadcast.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> x = np.array([[[1.0], [np.nan]]], "float32")
    >>> kept = zero_padding(x, np.array([[True, False]]))
    >>> ops.convert_to_numpy(kept).tolist()
    [[[1.0], [0.0]]]
    """
    rank = len(valid.shape)
    leading = zip(map(known, valid.shape), map(known, x.shape), strict=False)
    if not 0 < rank <= len(x.shape) or any(
        None not in sizes and len({*sizes}) > 1 for sizes in leading
    ):
        expected = f"a mask of the leading axes of x {tuple(x.shape)}"
        raise_invalid("valid", expected, tuple(valid.shape))
    zero = False if dtype_of(x) == "bool" else 0  # which keeps the dtype
    return fill_steps(x, expand_mask(valid, len(x.shape)), zero)


@takes(scores="float ...", valid="bool ...")
def masked_softmax(scores: Tensor, valid: Tensor, axis: int = -1) -> Tensor:
    r"""Softmax over the valid entries, and 0 where none is valid.

    $$p_t = \frac{m_t\, e^{s_t}}{\sum_u m_u\, e^{s_u}}$$

    Args:
        scores: float, rank 1 or more; computed in float32 for half precision.
        valid: bool, broadcastable to `scores`.
        axis: the axis that sums to 1.

    Returns:
        As `scores`. An entry that is not valid is exactly 0, and a row without
        valid entries is all 0, with gradient 0. A score of -infinity is not
        valid either.

    Raises:
        ValueError: `scores` are not floats, `valid` is not a mask or cannot be
            broadcast to them, or `axis` is out of range.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> scores = np.array([[5.0, 5.0, np.nan], [1.0, 2.0, 3.0]], "float32")
    >>> valid = np.array([[True, True, False], [False, False, False]])
    >>> ops.convert_to_numpy(masked_softmax(scores, valid)).tolist()
    [[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]
    """
    check_min_rank("scores", scores.shape, 1)
    check_broadcastable("valid", valid.shape, scores.shape)
    axis = check_axis("axis", axis, len(scores.shape), first=0)
    if 0 in scores.shape:  # no backend has the maximum of an empty axis
        return scores
    wide = upcast(scores)
    valid = ops.logical_and(valid, wide != -math.inf)
    visible = ops.where(valid, wide, LOWEST[dtype_of(wide)])
    # ops.softmax would warn of an axis of size 1, which a single step is
    # (docs/upstream/softmax_of_one.py).
    weights = ops.exp(ops.log_softmax(visible, axis=axis))
    weights = ops.where(valid, weights, 0.0)
    return ops.cast(weights, scores.dtype)


def per_step(values: Tensor, x: Tensor) -> Tensor:
    """One number for each step of x, as `(batch, steps)`.

    Args:
        values: `(batch, steps)`, `(batch, steps, 1)` or `(batch, 1, steps)`;
            others are returned unchanged, for the next function to reject.
        x: `(batch, steps, ...)`.
    """
    if len(values.shape) != 3:
        return values
    _, rows, columns = map(known, values.shape)
    if columns == 1:
        return values[:, :, 0]
    if rows == 1:
        return values[:, 0]
    if rows is None or columns is None:  # 1 perhaps; if not, reshape fails
        return ops.reshape(values, ops.shape(x)[:2])
    return values
