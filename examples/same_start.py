"""Starting weights that are the same on every backend."""

import math
import zlib

import keras
import numpy as np


def set_starting_weights(model: keras.Model, seed: int) -> None:
    """Draw each weight with NumPy, seeded by its path.

    With one seed Keras draws different weights on each backend. Vectors
    (biases, Dice's slopes and statistics) are not changed: they start as zeros
    or ones everywhere.
    """
    for weight in model.weights:
        if len(weight.shape) < 2:
            continue
        limit = math.sqrt(6 / sum(weight.shape))  # Glorot's
        rng = np.random.default_rng([seed, zlib.crc32(weight.path.encode())])
        values = rng.uniform(-limit, limit, weight.shape)
        weight.assign(values.astype("float32"))
