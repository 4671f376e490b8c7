"""JAX, NumPy, OpenVINO: what `keras.ops` has, and no forms of their own."""

import itertools
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from kseq.types import Tensor


def zero_steps(x: Tensor, valid: Tensor) -> Tensor:
    for _ in range(len(x.shape) - 2):
        valid = ops.expand_dims(valid, -1)
    return ops.where(valid, x, 0)


def projecting(step: Callable[..., Any]) -> Callable[..., Any]:
    """A loop's step that makes the projection of its first input itself."""

    def projected(inputs: Any, states: Any, weights: Any) -> Any:
        x, *others = inputs
        *weights, kernel, bias = weights
        return step((x @ kernel + bias, *others), states, tuple(weights))

    return projected


def split(x: Tensor, sizes: tuple[int, ...]) -> tuple[Tensor, ...]:
    return tuple(ops.split(x, list(itertools.accumulate(sizes[:-1])), axis=-1))


def sigmoid(x: Tensor) -> Tensor:
    return ops.sigmoid(x)


def tanh(x: Tensor) -> Tensor:
    if keras.backend.standardize_dtype(x.dtype) != "float64":
        return ops.tanh(x)
    # JAX's would be of 32 bits. Beyond 20 the result is 1 to the last bit, and
    # expm1 would overflow.
    e = ops.expm1(2.0 * ops.clip(x, -20.0, 20.0))
    return e / (e + 2.0)


def by_groups(
    function: Callable[..., tuple[Tensor, ...]],
    examples: tuple[Tensor, ...],
    sequence: Tensor,
    valid: Tensor,
) -> tuple[Tensor, ...]:
    return function(*examples, sequence, valid)


def fused_attention(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    query_valid: Tensor,
    valid: Tensor,
    blinding: bool,
) -> Tensor | None:
    return None


def fused_lstm(
    x: Tensor,
    valid: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor,
    reverse: bool,
) -> Tensor | None:
    return None
