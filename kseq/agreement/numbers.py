"""Deterministic numbers that are the same on every backend."""

import re
from typing import Any

import keras
import numpy as np

from kseq.agreement.tables import BITS
from kseq.checks import check_instance, check_int, check_one_of, raise_invalid
from kseq.ops.dtypes import dtype_of


def rounded(x: Any, dtype: str) -> Any:
    """Round float64 numbers to the significant bits of a dtype.

    A layer and its float64 reference then receive exactly the same numbers,
    and any difference comes from the computation.
    """
    mantissa, exponent = np.frexp(x)
    scale = 2.0 ** BITS[dtype]
    # NumPy's functions return scalars for 0-d arrays.
    return np.asarray(np.ldexp(np.round(mantissa * scale) / scale, exponent))


def seed_weights(layer: Any, seed: int = 0, dtype: str | None = None) -> None:
    """Set the weights of a built layer to the same values on every backend.

    Keras's initializers draw different numbers on each backend.

    Args:
        layer: a built layer or model.
        seed: a nonnegative integer; each seed gives different weights.
        dtype: the dtype whose numbers the weights are; by default their own.

    Raises:
        ValueError: if `layer` is not a built layer, or `seed` is not a
            nonnegative integer.

    Example:
        >>> import keras
        >>> from kseq.agreement import seed_weights
        >>> layer = keras.layers.Dense(2)
        >>> layer.build((None, 3))
        >>> seed_weights(layer)
        >>> print(keras.ops.convert_to_numpy(layer.bias.value).round(3))
        [ 0.051 -0.49 ]
    """
    check_instance("layer", layer, keras.Layer, "a built Keras layer")
    if not layer.built:
        raise_invalid("layer", "a built Keras layer", layer)
    if dtype is not None:
        check_one_of("dtype", dtype, tuple(BITS))
    if check_int("seed", seed) < 0:
        raise_invalid("seed", "an integer of at least 0", seed)
    for i, weight in enumerate(layer.weights):
        if dtype_of(weight) not in BITS:  # such as a counter
            continue
        draw = np.random.default_rng([seed, i]).normal(size=weight.shape)
        # A variance must be positive.
        value = np.exp(draw / 2) if "variance" in weight.name else draw / 2
        weight.assign(rounded(value, dtype or dtype_of(weight)))


def name_of(weight: Any) -> str:
    """Return a weight's name without the number that Keras appends.

    The number counts the weights of the process, and differs between runs.
    """
    return re.sub(r"_\d+$", "", weight.name)


def cotangent(i: int, shape: Any, dtype: str) -> Any:
    """Draw the weights of output `i` in the sum that is differentiated."""
    draw = np.random.default_rng([7, i]).normal(size=tuple(shape))
    return rounded(draw, dtype)
