# KERAS_BACKEND: jax
"""A symbolic call of ops.adaptive_average_pool with an integer fails."""

import sys

import keras

try:
    got = keras.ops.adaptive_average_pool(keras.Input((7, 2)), 3).shape
except TypeError as error:
    got = error
print("expected: (None, 3, 2)")
print("got:     ", got)
sys.exit(isinstance(got, tuple))
