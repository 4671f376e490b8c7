"""The numbers that a case is given: the same on every backend."""

from typing import Any

import keras
import numpy as np

from kseq.agreement.tables import BITS
from kseq.checks import check_instance, check_int, raise_invalid
from kseq.ops.dtypes import dtype_of


def rounded(x: Any, dtype: str) -> Any:
    """Float64 numbers rounded to the significant bits of a dtype.

    What a case is given in a dtype is also what its float64 reference is
    given: so a difference is of the computation, not of its inputs.
    """
    mantissa, exponent = np.frexp(x)
    scale = 2.0 ** BITS[dtype]
    return np.ldexp(np.round(mantissa * scale) / scale, exponent)


def seed_weights(layer: Any, seed: int = 0) -> None:
    """Give a built layer weights that are the same on every backend.

    Keras's initializers draw other numbers on every backend.

    Args:
        layer: a built layer or model.
        seed: another seed, from 0 on, gives other weights.

    Raises:
        ValueError: `layer` is no built layer, or `seed` no integer from 0 on.
    """
    check_instance("layer", layer, keras.Layer, "a built Keras layer")
    if not layer.built:
        raise_invalid("layer", "a built Keras layer", layer)
    if check_int("seed", seed) < 0:
        raise_invalid("seed", "an integer of at least 0", seed)
    for i, weight in enumerate(layer.weights):
        if dtype_of(weight) not in BITS:  # a counter, say
            continue
        draw = np.random.default_rng([seed, i]).normal(size=weight.shape)
        # What is named a variance must be positive.
        value = np.exp(draw / 2) if "variance" in weight.name else draw / 2
        weight.assign(rounded(value, dtype_of(weight)))


def cotangents_of(outputs: list[Any], dtype: str) -> list[Any]:
    """What the outputs are weighed with to differentiate their sum."""
    return [
        rounded(
            np.random.default_rng([7, i]).normal(size=tuple(o.shape)), dtype
        )
        for i, o in enumerate(outputs)
    ]
