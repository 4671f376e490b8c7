"""Gradients of NumPy functions by the complex-step method.

For a function composed of analytic operations,

    df/dx = Im f(x + ih) / h + O(h^2).

Nothing is subtracted, so h can be so small (1e-30) that the error term is far
below rounding, and a float64 reference only has to implement the forward pass.
Squire and Trapp, SIAM Review 40 (1998) 110.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

Arrays = list[Any]
Reference = Callable[[Arrays, Arrays], Any]

STEP = 1e-30


def flatten(outputs: Any) -> Arrays:
    """Flatten one output or a structure of outputs into a list."""
    return list(keras.tree.flatten(outputs))


def complex_step_gradients(
    reference: Reference,
    inputs: Sequence[Any],
    weights: Sequence[Any],
    cotangents: Sequence[Any],
) -> tuple[Arrays, Arrays]:
    """Compute the gradients of `sum(outputs * cotangents)`.

    Args:
        reference: `reference(inputs, weights) -> outputs`, composed of
            operations that accept complex numbers and compare real parts only.
        inputs: arrays; the gradient of an integer or bool array is None.
        weights: floating-point arrays.
        cotangents: one array per output.

    Returns:
        `(input gradients, weight gradients)`.
    """
    inputs, weights = list(inputs), list(weights)

    def loss() -> Any:
        outputs = flatten(reference(inputs, weights))
        return sum(
            np.sum(output * cotangent)
            for output, cotangent in zip(outputs, cotangents, strict=True)
        )

    def differentiate(arrays: Arrays, i: int) -> Any:
        original = arrays[i]
        if original.dtype.kind != "f":
            return None
        gradient = np.zeros(original.shape)
        arrays[i] = original.astype(complex)
        for index in np.ndindex(original.shape):
            arrays[i][index] += 1j * STEP
            gradient[index] = loss().imag / STEP
            arrays[i][index] = original[index]
        arrays[i] = original
        return gradient

    return (
        [differentiate(inputs, i) for i in range(len(inputs))],
        [differentiate(weights, i) for i in range(len(weights))],
    )
