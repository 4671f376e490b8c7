# KERAS_BACKEND: torch
"""ops.dot of two and three dimensions has the shape of matmul."""

import sys

import numpy as np
from keras import ops

a, b = np.ones((3, 4), "float32"), np.ones((2, 4, 5), "float32")
got = tuple(ops.dot(a, b).shape)
print("expected:", np.dot(a, b).shape, "(NumPy, and Keras's symbolic call)")
print("got:     ", got)
sys.exit(got == (3, 2, 5))
