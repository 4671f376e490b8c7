# KERAS_BACKEND: torch
"""ops.pad(x, 1) pads only the last axis."""

import sys

import numpy as np
from keras import ops

x = np.ones((2, 3), "float32")
got = tuple(ops.pad(x, 1).shape)
print("expected:", np.pad(x, 1).shape, "(NumPy)")
print("got:     ", got)
sys.exit(got == (4, 5))
