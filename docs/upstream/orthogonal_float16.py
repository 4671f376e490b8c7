# KERAS_BACKEND: torch
"""The Orthogonal initializer fails for float16 (on JAX, too)."""

import sys

import keras

try:
    keras.initializers.Orthogonal()((2, 2), dtype="float16")
    got = "a matrix"
except Exception as error:
    got = type(error).__name__
print("expected: a matrix")
print("got:     ", got)
sys.exit(got == "a matrix")
