# KERAS_BACKEND: jax
"""A layer must return the same number of outputs in every call.

A functional model of the second call's second output is rejected.
"""

import sys

import keras


class Split(keras.layers.Layer):
    def call(self, x, both=False):
        return (x, x + 1) if both else x


x = keras.Input((3,))
layer = Split()
layer(x)
_, second = layer(x, both=True)
try:
    got = keras.Model(x, second).output.shape
except ValueError as error:
    got = error
print("expected: (None, 3)")
print("got:     ", got)
sys.exit(not isinstance(got, ValueError))
