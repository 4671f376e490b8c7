# KERAS_BACKEND: jax
"""A symbolic call of ops.slogdet of a batch has another shape."""

import sys

import keras
import numpy as np

got = keras.ops.slogdet(keras.KerasTensor((2, 3, 3)))[0].shape
actual = tuple(keras.ops.slogdet(np.stack([np.eye(3)] * 2))[0].shape)
print("expected:", actual, "(a call)")
print("got:     ", got)
sys.exit(got == actual)
