# KERAS_BACKEND: jax
"""A symbolic call of ops.polar or ops.eig has a dtype that is not complex."""

import sys

import keras

x = keras.KerasTensor((3, 3), dtype="float32")
got = keras.ops.polar(x, x).dtype, keras.ops.eig(x)[0].dtype
print("expected: ('complex64', 'complex64'), as a call")
print("got:     ", got)
sys.exit(got == ("complex64", "complex64"))
