"""The forms that every backend shares, written on `keras.ops`."""

import contextlib
import contextvars
import itertools
from collections.abc import Callable, Iterator
from typing import Any

from keras import ops

from kseq.ops.numerics import tanh as tanh
from kseq.types import Tensor, Tensors

_only_plain = contextvars.ContextVar("only_plain", default=False)


@contextlib.contextmanager
def plain_forms() -> Iterator[None]:
    """A context that uses only the implementations that all backends share.

    Inside, no backend-specific implementation is used: no length buckets, no
    fused attention or LSTM, no select by bits. For debugging, for comparisons,
    and where control flow must not depend on the data. Results are the same up
    to rounding. Compiled functions keep the implementation that was traced.

    Returns:
        A context manager.

    Example:

    >>> import numpy as np
    >>> from kseq.ops import masked_sum, plain_forms
    >>> x, valid = np.ones((2, 3, 4), "float32"), np.ones((2, 3), bool)
    >>> with plain_forms():
    ...     total = masked_sum(x, valid)
    """
    token = _only_plain.set(True)
    try:
        yield
    finally:
        _only_plain.reset(token)


def only_plain() -> bool:
    return _only_plain.get()


def fill_steps(x: Tensor, valid: Tensor, value: float = 0) -> Tensor:
    return ops.where(valid, x, value)


def projecting(step: Callable[..., Any]) -> Callable[..., Any]:
    """A loop's step that computes the projection of its first input."""

    def projected(inputs: Any, states: Any, weights: Any) -> Any:
        x, *others = inputs
        *weights, kernel, bias = weights
        return step((x @ kernel + bias, *others), states, tuple(weights))

    return projected


def reshape(x: Tensor, shape: tuple[Any, ...]) -> Tensor:
    return ops.reshape(x, shape)


def split(x: Tensor, sizes: tuple[int, ...]) -> Tensors:
    return tuple(ops.split(x, list(itertools.accumulate(sizes[:-1])), axis=-1))


def sigmoid(x: Tensor) -> Tensor:
    return ops.sigmoid(x)


def map_buckets(
    function: Callable[..., Tensor],
    examples: Tensors,
    sequences: Tensors,
    valid: Tensors,
    elements_per_step: int,
    training: bool | None,
    returns_sequence: bool = False,
) -> Tensor:
    return function(*examples, *sequences, *valid)


def may_be_any_true(condition: Tensor) -> bool:
    return True


def lookup(
    table: Tensor, ids: Tensor, sparse: bool, training: bool | None
) -> Tensor:
    return ops.take(table, ids, axis=0)


def sparse_rows(gradient: Any) -> tuple[Tensor, Tensor] | None:
    return None


def train_step(model: Any, step: Callable[..., Any], *arguments: Any) -> Any:
    return step(*arguments)


def not_available(*arguments: Any) -> None:
    """Return None: not implemented by this backend."""


fused_attention = fused_lstm = not_available
read_rows = write_rows = not_available
