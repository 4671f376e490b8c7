"""Tables of positions."""

from typing import Any

import numpy as np
from keras import ops

from kseq.checks import check_int, check_positive_int, raise_invalid
from kseq.ops.validation import STAND_INS
from kseq.types import Tensor


def sinusoid(steps: int, dim: int) -> Any:
    r"""The Transformer's table of positions, as a NumPy array.

    $$p_{t,2i} = \sin(t / 10000^{2i/d}), \qquad
      p_{t,2i+1} = \cos(t / 10000^{2i/d})$$

    Args:
        steps: the number of positions, 0 or more.
        dim: $d$, even or odd.

    Returns:
        float64 `(steps, dim)`.

    Raises:
        ValueError: `steps` is not an integer of at least 0, or `dim` is not a
            positive integer.

    Reference:
        Vaswani et al., [Attention Is All You
        Need](https://arxiv.org/abs/1706.03762), 2017, section 3.5.

    Example:

    >>> sinusoid(2, 3).round(4).tolist()
    [[0.0, 1.0, 0.0], [0.8415, 0.5403, 0.0022]]
    """
    if check_int("steps", steps) < 0:
        raise_invalid("steps", "an integer of at least 0", steps)
    dim = check_positive_int("dim", dim)
    angles = np.arange(steps)[:, None] / _periods(dim)
    return np.where(np.arange(dim) % 2 == 0, np.sin(angles), np.cos(angles))


def sinusoid_like(x: Tensor) -> Tensor:
    """The table `sinusoid` for the steps of a sequence, known or not.

    Args:
        x: float `(batch, steps, dim)`.

    Returns:
        `(steps, dim)`, in the dtype of `x`.

    Example:

    >>> import numpy as np
    >>> tuple(sinusoid_like(np.ones((4, 2, 3), "float32")).shape)
    (2, 3)
    """
    _, steps, dim = x.shape
    if isinstance(steps, int):
        return ops.convert_to_tensor(sinusoid(steps, dim), x.dtype)
    # Not float64, of which JAX warns.
    count = ops.cumsum(ops.ones_like(x[0, :, :1], "float32"), axis=0) - 1.0
    angles = ops.divide(count, ops.convert_to_tensor(_periods(dim)))
    even = np.arange(dim) % 2 == 0
    table = ops.where(even, ops.sin(angles), ops.cos(angles))
    return ops.cast(table, x.dtype)


def first_rows(table: Tensor, x: Tensor) -> Tensor:
    """The first rows of a table, one for each step of a sequence.

    Args:
        table: `(rows, ...)`.
        x: `(batch, steps, ...)`; only the shape is used.

    Returns:
        `(steps, ...)`.

    Raises:
        ValueError: there are more steps than rows. Where the number of steps is
            unknown while a graph is traced, the backend raises an error of its
            own when the graph runs.

    Example:

    >>> import numpy as np
    >>> x = np.zeros((4, 2, 3))
    >>> tuple(first_rows(np.zeros((5, 3)), x).shape)
    (2, 3)
    """
    steps, rows = x.shape[1], table.shape[0]
    if isinstance(steps, int) and steps <= rows:
        return table[:steps]
    if steps in STAND_INS:
        # Perhaps Keras traces, and the number is unknown. If it is not, steps
        # past the table become NaN.
        missing = ops.full((steps - rows, *table.shape[1:]), np.nan)
        return ops.concatenate([table, ops.cast(missing, table.dtype)])
    if isinstance(steps, int):
        raise_invalid("inputs", f"at most {rows} steps (max_steps)", steps)
    if steps is None:
        # table[:steps] would silently return fewer rows than steps.
        sizes = (ops.shape(x)[1], *table.shape[1:])
        return ops.slice(table, (0,) * len(sizes), sizes)
    # With a dtype: Keras finds none for a symbolic size of PyTorch.
    return ops.take(table, ops.arange(steps, dtype="int32"), axis=0)


def _periods(dim: int) -> Any:
    return np.power(10000.0, 2.0 * (np.arange(dim) // 2) / dim)
