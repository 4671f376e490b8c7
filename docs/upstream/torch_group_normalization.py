# KERAS_BACKEND: torch
"""GroupNormalization of a large mean is off by percents: E[x^2] - E[x]^2."""

import sys

import keras
import numpy as np

x = np.random.default_rng(0).normal(size=(2, 16, 4)) + 1e3
layer = keras.layers.GroupNormalization(groups=1, epsilon=1e-6)
got = float(keras.ops.convert_to_numpy(layer(x.astype("float32"))).std())
print("expected: 1.0, to 5 digits")
print("got:     ", got)
sys.exit(abs(got - 1) < 1e-3)
