# KERAS_BACKEND: torch
"""ops.vdot fails for matrices, which NumPy flattens."""

import sys

import numpy as np
from keras import ops

x = np.ones((2, 3), "float32")
try:
    got = float(ops.vdot(x, x))
except RuntimeError as error:
    got = error
print("expected:", float(np.vdot(x, x)), "(NumPy)")
print("got:     ", got)
sys.exit(got == 6.0)
