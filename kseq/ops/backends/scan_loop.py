"""JAX: `ops.scan`, compiled once for any number of steps."""

from typing import Any

import keras
from keras import ops

from kseq.ops.backends.plain import projecting
from kseq.types import Tensor


def loop(
    step: Any,
    sequences: tuple[Tensor, ...],
    states: tuple[Tensor, ...],
    weights: tuple[Tensor, ...],
    recompute: bool = False,
    valid: Tensor | None = None,
    projection: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    if projection is not None:
        step, weights = projecting(step), (*weights, *projection)
    if recompute:
        step = keras.remat(step)

    def body(states: Any, inputs: Any) -> Any:
        states = step(inputs, states, weights)
        return states, states[0]

    by_step = tuple(ops.swapaxes(x, 0, 1) for x in sequences)
    states, outputs = ops.scan(body, states, by_step)
    return ops.swapaxes(outputs, 0, 1), states
