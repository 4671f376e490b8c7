# KERAS_BACKEND: jax
"""A symbolic call of ops.corrcoef has the shape of its input."""

import sys

import keras
import numpy as np

got = keras.ops.corrcoef(keras.KerasTensor((3, 4))).shape
print("expected:", np.corrcoef(np.eye(3, 4)).shape, "(NumPy, and a call)")
print("got:     ", got)
sys.exit(got == (3, 3))
