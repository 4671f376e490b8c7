"""Where in a sequence a step stands, as a vector."""

from typing import Any

import numpy as np
from keras import ops

from kseq.checks import (
    check_int,
    check_max_steps,
    check_min_rank,
    check_positive_int,
    check_rank,
    raise_invalid,
)
from kseq.ops.arguments import to_floats, to_tensor
from kseq.types import Tensor


def sinusoid(steps: int, dim: int) -> Any:
    r"""The Transformer's table of positions, as a NumPy array.

    $$p_{t,2i} = \sin(t / 10000^{2i/d}), \qquad
      p_{t,2i+1} = \cos(t / 10000^{2i/d})$$

    Args:
        steps: how many positions, 0 or more.
        dim: $d$, even or odd.

    Returns:
        float64 `(steps, dim)`.

    Raises:
        ValueError: `steps` is no integer of at least 0, or `dim` none above.

    Reference:
        Vaswani et al., Attention Is All You Need, 2017, section 3.5.

    Example:

    >>> sinusoid(2, 3).round(4).tolist()
    [[0.0, 1.0, 0.0], [0.8415, 0.5403, 0.0022]]
    """
    if check_int("steps", steps) < 0:
        raise_invalid("steps", "an integer of at least 0", steps)
    dim = check_positive_int("dim", dim)
    return _table(steps, dim)


def _table(steps: int, dim: int) -> Any:
    angles = np.arange(steps)[:, None] / _periods(dim)
    return np.where(np.arange(dim) % 2 == 0, np.sin(angles), np.cos(angles))


def sinusoid_like(x: Tensor) -> Tensor:
    """The table for a sequence whose steps may not be known, in its dtype.

    Args:
        x: float `(batch, steps, dim)`.

    Returns:
        `(steps, dim)`; the same numbers as `sinusoid`.

    Raises:
        ValueError: `x` is not of floats and rank 3.

    Example:

    >>> import numpy as np
    >>> tuple(sinusoid_like(np.ones((4, 2, 3), "float32")).shape)
    (2, 3)
    """
    x = to_floats("x", x)
    check_rank("x", x.shape, (3,))
    _, steps, dim = x.shape
    if steps is not None:
        return ops.convert_to_tensor(_table(steps, dim), x.dtype)
    # Only TensorFlow has unknown steps while it computes.
    count = ops.cumsum(ops.ones_like(x[0, :, :1], "float64"), axis=0) - 1.0
    angles = count / ops.convert_to_tensor(_periods(dim))
    even = np.arange(dim) % 2 == 0
    table = ops.where(even, ops.sin(angles), ops.cos(angles))
    return ops.cast(table, x.dtype)


def first_rows(table: Tensor, x: Tensor) -> Tensor:
    """A table's rows for the steps of a sequence.

    Args:
        table: `(rows, ...)`.
        x: `(batch, steps, ...)`; only its shape counts.

    Returns:
        `(steps, ...)`, the table's beginning.

    Raises:
        ValueError: `table` or `x` is no tensor of rank 1 or 2 at least, or
            there are more steps than rows. Where steps are not known
            while the backend makes its graph, it is the backend that refuses
            them when it runs.

    Example:

    >>> import numpy as np
    >>> x = np.zeros((4, 2, 3))
    >>> tuple(first_rows(np.zeros((5, 3)), x).shape)
    (2, 3)
    """
    table, x = to_tensor("table", table), to_tensor("x", x)
    check_min_rank("table", table.shape, 1)
    check_min_rank("x", x.shape, 2)
    check_max_steps(x.shape[1], table.shape[0])
    steps = ops.shape(x)[1]
    sizes = (steps, *table.shape[1:])
    if x.shape[1] is None:
        # A table that is too short would be cut in silence by [:steps], and its
        # single row spread: TensorFlow optimises a reshape away.
        return ops.slice(table, (0,) * len(sizes), sizes)
    # For PyTorch's exporter, which does not know that there are as many rows.
    return ops.reshape(table[:steps], sizes)


def _periods(dim: int) -> Any:
    return np.power(10000.0, 2.0 * (np.arange(dim) // 2) / dim)
