"""JAX, NumPy, OpenVINO: what `keras.ops` has, and no forms of their own."""

import itertools
from collections.abc import Callable
from typing import Any

from keras import ops

from kseq.ops.numerics import tanh as tanh
from kseq.types import Tensor, Tensors


def fill_steps(x: Tensor, valid: Tensor, value: float = 0) -> Tensor:
    return ops.where(valid, x, value)


def projecting(step: Callable[..., Any]) -> Callable[..., Any]:
    """A loop's step that makes the projection of its first input itself."""

    def projected(inputs: Any, states: Any, weights: Any) -> Any:
        x, *others = inputs
        *weights, kernel, bias = weights
        return step((x @ kernel + bias, *others), states, tuple(weights))

    return projected


def split(x: Tensor, sizes: tuple[int, ...]) -> Tensors:
    return tuple(ops.split(x, list(itertools.accumulate(sizes[:-1])), axis=-1))


def sigmoid(x: Tensor) -> Tensor:
    return ops.sigmoid(x)


def by_groups(
    function: Callable[..., Tensor],
    examples: Tensors,
    sequences: Tensors,
    valid: Tensors,
    made: tuple[int, ...],
    training: bool | None,
    gives_steps: bool = False,
) -> Tensor:
    return function(*examples, *sequences, *valid)


def may_be(condition: Tensor) -> bool:
    return True


def no_form(*arguments: Any) -> None:
    """What a backend without a form of its own says."""


fused_attention = fused_lstm = no_form
