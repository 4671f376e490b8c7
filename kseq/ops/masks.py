"""Which steps of a padded sequence count, and what to do with the others.

A mask is a bool tensor `(batch, steps)`, True where a step counts. Padding is
kept out by a select, never by a product: 0 times NaN is NaN.
"""

import math

from keras import ops

from kseq.checks import (
    check_axis,
    check_min_rank,
    check_rank,
    check_same_dim,
    raise_invalid,
)
from kseq.ops.arguments import (
    check_spreads,
    to_bools,
    to_floats,
    to_lengths,
    to_tensor,
)
from kseq.ops.backends import fill_steps
from kseq.ops.dtypes import LOWEST, dtype_of
from kseq.ops.numerics import step_numbers, upcast
from kseq.types import Tensor


def lengths_to_mask(lengths: Tensor, x: Tensor) -> Tensor:
    r"""The mask of the first `lengths` steps: $m_{bt} = [t < n_b]$.

    Args:
        lengths: `(batch,)` or `(batch, 1)`, integers of any dtype or whole
            floats. Below 0 and NaN count as 0, above `steps` and infinity as
            `steps`, 2.7 as 2.
        x: `(batch, steps, ...)`, the sequences to mask; only its shape counts.

    Returns:
        bool `(batch, steps)`.

    Raises:
        ValueError: `lengths` are no numbers, or of another shape or batch size;
            `x` is no tensor of rank 2 or more.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> valid = lengths_to_mask(np.array([3, 0]), np.zeros((2, 4, 8)))
    >>> ops.convert_to_numpy(valid).tolist()
    [[True, True, True, False], [False, False, False, False]]
    """
    lengths, x = to_lengths("lengths", lengths), to_tensor("x", x)
    check_min_rank("x", x.shape, 2)
    check_rank("lengths", lengths.shape, (1, 2))
    check_same_dim(0, lengths=lengths.shape, sequence=x.shape)
    if tuple(lengths.shape[1:]) not in ((), (1,), (None,)):
        raise_invalid(
            "lengths", "shape (batch,) or (batch, 1)", tuple(lengths.shape)
        )
    return step_numbers(x) <= ops.reshape(lengths, (-1, 1))


def resolve_mask(
    x: Tensor, mask: Tensor | None = None, lengths: Tensor | None = None
) -> Tensor:
    r"""The steps that count, from what there is: a mask, lengths, or both.

    Args:
        x: `(batch, steps, ...)`, the sequences.
        mask: `(batch, steps)`, bool or integers, of which 0 is False, or None.
        lengths: `(batch,)` or `(batch, 1)`, see `lengths_to_mask`, or None.

    Returns:
        bool `(batch, steps)`, True where every given one is; all True where
        neither is given.

    Raises:
        ValueError: `mask` or `lengths` does not fit `x`, or is of another
            dtype; `x` is no tensor of rank 2 or more.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> x = np.zeros((2, 3, 8))
    >>> mask = np.array([[True, False, True], [True, True, True]])
    >>> valid = resolve_mask(x, mask, lengths=np.array([3, 1]))
    >>> ops.convert_to_numpy(valid).tolist()
    [[True, False, True], [True, False, False]]
    """
    x = to_tensor("x", x)
    check_min_rank("x", x.shape, 2)
    valid = None
    if mask is not None:
        valid = to_valid(mask, x, "mask", "sequence")
    if lengths is not None:
        within = lengths_to_mask(lengths, x)
        valid = within if valid is None else ops.logical_and(valid, within)
    if valid is None:
        return ops.ones_like(_first_dims(x), "bool")
    return valid


def _first_dims(x: Tensor) -> Tensor:
    """Some tensor `(batch, steps)` made of x: shapes may not be known."""
    return x[(slice(None), slice(None), *(0,) * (len(x.shape) - 2))]


def check_mask(
    mask: Tensor, x: Tensor, name: str = "mask", of: str = "inputs"
) -> Tensor:
    """The mask in bools; refused where its axes are not the first of x.

    Not broadcast: (batch, 1) would spread.
    """
    mask = to_bools(name, mask)
    check_rank(name, mask.shape, tuple(range(1, len(x.shape) + 1)))
    for axis in range(len(mask.shape)):
        check_same_dim(axis, **{name: mask.shape, of: x.shape})
    return mask


def to_valid(
    valid: Tensor, x: Tensor, name: str = "valid", of: str = "x"
) -> Tensor:
    """A mask `(batch, steps)` of x in bools."""
    valid = to_bools(name, valid)
    check_rank(name, valid.shape, (2,))
    return check_mask(valid, x, name, of)


def expand_mask(valid: Tensor, rank: int) -> Tensor:
    """The mask with axes of size 1 behind it, up to `rank`."""
    for _ in range(rank - len(valid.shape)):
        valid = ops.expand_dims(valid, -1)
    return valid


def zero_padding(x: Tensor, valid: Tensor) -> Tensor:
    r"""The sequences with 0 in every step that does not count.

    Whatever stood there, NaN and infinity too, reaches neither the result nor
    a gradient: $x_{bt}$ where $m_{bt}$, else 0.

    Args:
        x: `(batch, steps, ...)`, of numbers or bools.
        valid: bool `(batch, steps)`, or any other number of the first axes.

    Returns:
        As `x`.

    Raises:
        ValueError: `valid` is no mask, or does not fit `x`: it is not
            broadcast.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> x = np.array([[[1.0], [np.nan]]], "float32")
    >>> kept = zero_padding(x, np.array([[True, False]]))
    >>> ops.convert_to_numpy(kept).tolist()
    [[[1.0], [0.0]]]
    """
    x = to_tensor("x", x)
    valid = check_mask(valid, x, "valid", "x")
    return fill_steps(x, expand_mask(valid, len(x.shape)))


def masked_softmax(scores: Tensor, valid: Tensor, axis: int = -1) -> Tensor:
    r"""Softmax over the entries that count; 0 where none does.

    $$p_t = \frac{m_t\, e^{s_t}}{\sum_u m_u\, e^{s_u}}$$

    Args:
        scores: float, rank 1 or more; computed in float32 where it is half.
        valid: bool, broadcastable to `scores`.
        axis: the axis that sums to 1.

    Returns:
        As `scores`. An entry that does not count is exactly 0, and a row in
        which none counts is all 0, with gradient 0. A score of -infinity does
        not count either.

    Raises:
        ValueError: `scores` are not floats, `valid` is no mask or does not
            spread to them, or `axis` is none of theirs.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> scores = np.array([[5.0, 5.0, np.nan], [1.0, 2.0, 3.0]], "float32")
    >>> valid = np.array([[True, True, False], [False, False, False]])
    >>> ops.convert_to_numpy(masked_softmax(scores, valid)).tolist()
    [[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]
    """
    scores, valid = to_floats("scores", scores), to_bools("valid", valid)
    check_min_rank("scores", scores.shape, 1)
    check_spreads("valid", valid.shape, scores.shape)
    axis = check_axis("axis", axis, len(scores.shape), first=0)
    if 0 in scores.shape:  # no backend has a largest of nothing
        return scores
    wide = upcast(scores)
    valid = ops.logical_and(valid, wide != -math.inf)
    shown = ops.where(valid, wide, LOWEST[dtype_of(wide)])
    # Not ops.softmax: it warns of an axis of one, which one step is
    # (docs/upstream/softmax_of_one.py).
    weights = ops.exp(ops.log_softmax(shown, axis=axis))
    weights = ops.where(valid, weights, 0.0)
    return ops.cast(weights, scores.dtype)
