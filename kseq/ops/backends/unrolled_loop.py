"""PyTorch, NumPy, OpenVINO: a Python loop.

The sequences are unstacked once. Indexing them in each step would make
PyTorch's gradient quadratic in the steps, since that of an index is a whole
tensor.
"""

from typing import Any

import keras
from keras import ops

from kseq.types import Tensor

# NumPy and OpenVINO have no gradients, so nothing is recomputed for them.
TRAINS = keras.backend.backend() == "torch"


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
        kernel, bias = projection
        sequences = (sequences[0] @ kernel + bias, *sequences[1:])
    if sequences[0].shape[1] == 0:
        shape = (sequences[0].shape[0], 0, *states[0].shape[1:])
        return ops.zeros(shape, states[0].dtype), states
    if recompute and TRAINS:
        step = keras.remat(step)
    outputs = []
    for inputs in zip(
        *(ops.unstack(x, axis=1) for x in sequences), strict=True
    ):
        states = step(inputs, states, weights)
        outputs.append(states[0])
    return ops.stack(outputs, axis=1), states
