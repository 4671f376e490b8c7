"""Gradients of NumPy functions by the complex-step method.

For a function composed of analytic operations,

    df/dx = Im f(x + ih) / h + O(h^2).

Nothing is subtracted, so h can be so small (1e-30) that the error term is far
below rounding, and a float64 reference only has to implement the forward pass.
Squire and Trapp, SIAM Review 40 (1998) 110.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Arrays = list[Any]

STEP = 1e-30


def complex_step_gradients(
    function: Callable[[Arrays], Arrays],
    arrays: Sequence[Any],
    cotangents: Sequence[Any],
) -> Arrays:
    """Compute the gradients of `sum(outputs * cotangents)`.

    Args:
        function: a function of a list of arrays, composed of operations that
            accept complex numbers and compare real parts only.
        arrays: the list of arrays.
        cotangents: one array per output; None ignores the output.

    Returns:
        One gradient per array; None for an array of integers or bools.
    """
    arrays = list(arrays)

    def loss() -> Any:
        return sum(
            np.sum(output * cotangent)
            for output, cotangent in zip(
                function(arrays), cotangents, strict=True
            )
            if cotangent is not None
        )

    def differentiate(i: int) -> Any:
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

    return [differentiate(i) for i in range(len(arrays))]
