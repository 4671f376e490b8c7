"""The numbers that a case is given, the same on every backend and dtype."""

from typing import Any

import numpy as np


def seed_weights(layer: Any, seed: int = 0) -> None:
    """Give a built layer weights that are the same on every backend.

    Keras's initializers draw other numbers on every backend. The values are
    rounded to 8 significant bits, so that every dtype holds them exactly.

    Args:
        layer: a built layer or model.
        seed: another seed gives other weights.
    """
    for i, weight in enumerate(layer.weights):
        draw = np.random.default_rng([seed, i]).normal(size=weight.shape)
        # What is named a variance must be positive.
        value = np.exp(draw / 2) if "variance" in weight.name else draw / 2
        weight.assign(eight_bits(value))


def eight_bits(x: Any) -> Any:
    """`x` rounded to 8 significant bits, which each float dtype has."""
    mantissa, exponent = np.frexp(x)
    return np.ldexp(np.round(mantissa * 256) / 256, exponent)


def cotangents_of(outputs: list[Any]) -> list[Any]:
    """What the outputs are weighed with to differentiate their sum."""
    return [
        eight_bits(np.random.default_rng([7, i]).normal(size=tuple(o.shape)))
        for i, o in enumerate(outputs)
    ]
