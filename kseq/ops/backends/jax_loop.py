"""JAX: a scan, compiled once for each shape.

Eager calls too: `jax.lax.scan` alone would be compiled by each of them, for
0.15 s a loop.
"""

import functools
from typing import Any

import jax
import keras

from kseq.ops.backends.plain import projecting
from kseq.types import Tensor, Tensors


def loop(
    step: Any,
    sequences: Tensors,
    states: Tensors,
    weights: Tensors,
    recompute: bool = False,
    valid: Tensor | None = None,
    projection: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensors]:
    return _loop(step, recompute, sequences, states, weights, projection)


@functools.partial(jax.jit, static_argnames=("step", "recompute"))
def _loop(
    step: Any,
    recompute: bool,
    sequences: Tensors,
    states: Tensors,
    weights: Tensors,
    projection: tuple[Tensor, Tensor] | None,
) -> tuple[Tensor, Tensors]:
    if projection is not None:
        step, weights = projecting(step), (*weights, *projection)
    if recompute:
        step = keras.remat(step)

    def body(states: Any, inputs: Any) -> Any:
        states = step(inputs, states, weights)
        return states, states[0]

    by_step = tuple(x.swapaxes(0, 1) for x in sequences)
    states, outputs = jax.lax.scan(body, states, by_step)
    return outputs.swapaxes(0, 1), states
