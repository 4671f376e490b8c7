"""Gradients of a NumPy function, exact to rounding.

A complex step: for a function made of analytic operations,

    df/dx = Im f(x + ih) / h + O(h^2),

and since nothing is subtracted, h can be so small (1e-30) that the error term
is far below rounding. So a float64 reference needs only its forward half.
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
    """One output or a structure of them as a list."""
    return list(keras.tree.flatten(outputs))


def complex_step_gradients(
    reference: Reference,
    inputs: Sequence[Any],
    weights: Sequence[Any],
    cotangents: Sequence[Any],
) -> tuple[Arrays, Arrays]:
    """Gradients of `sum(outputs * cotangents)`.

    Args:
        reference: `reference(inputs, weights) -> outputs`, of operations that
            take complex numbers; comparisons on the real part only.
        inputs: arrays; the gradient of one that is not of floats is None.
        weights: arrays of floats.
        cotangents: one array an output.

    Returns:
        `(of inputs, of weights)`.
    """
    inputs, weights = list(inputs), list(weights)

    def loss() -> Any:
        outputs = flatten(reference(inputs, weights))
        return sum(
            np.sum(output * cotangent)
            for output, cotangent in zip(outputs, cotangents, strict=True)
        )

    def gradient(arrays: Arrays, i: int) -> Any:
        original = arrays[i]
        if original.dtype.kind != "f":
            return None
        found = np.zeros(original.shape)
        arrays[i] = original.astype(complex)
        for index in np.ndindex(original.shape):
            arrays[i][index] += 1j * STEP
            found[index] = loss().imag / STEP
            arrays[i][index] = original[index]
        arrays[i] = original
        return found

    return (
        [gradient(inputs, i) for i in range(len(inputs))],
        [gradient(weights, i) for i in range(len(weights))],
    )
