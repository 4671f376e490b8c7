# KERAS_BACKEND: tensorflow
"""ops.pad(x, 1) of a matrix fails."""

import sys

import numpy as np
from keras import ops

x = np.ones((2, 3), "float32")
try:
    got = tuple(ops.pad(x, 1).shape)
except Exception as error:
    got = type(error).__name__
print("expected:", np.pad(x, 1).shape, "(NumPy)")
print("got:     ", got)
sys.exit(got == (4, 5))
