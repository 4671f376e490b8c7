"""Sequences of unlike length, for the forms that put like ones together."""

import numpy as np

RNG = np.random.default_rng(7)
X = RNG.normal(size=(6, 5, 4))
QUERY = RNG.normal(size=(6, 2, 4))
# Full, one, empty, with a hole, padded in front, short.
MASK = np.array(
    [
        [1, 1, 1, 1, 1],
        [1, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
        [1, 0, 1, 1, 0],
        [0, 0, 1, 1, 0],
        [1, 1, 1, 0, 0],
    ],
    bool,
)
