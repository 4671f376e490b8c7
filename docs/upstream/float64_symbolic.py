# KERAS_BACKEND: torch
"""A symbolic call of ops.cos of float64 has dtype float32, a call float64."""

import sys

import keras

x = keras.KerasTensor((2,), dtype="float64")
got = keras.ops.cos(x).dtype
print("expected: float64")
print("got:     ", got)
sys.exit(got == "float64")
