# KERAS_BACKEND: torch
"""ops.nonzero returns one tensor and not a tuple."""

import sys

import numpy as np
from keras import ops

got = type(ops.nonzero(np.array([[1, 0]]))).__name__
print("expected: tuple, as on JAX and from NumPy")
print("got:     ", got)
sys.exit(got == "tuple")
