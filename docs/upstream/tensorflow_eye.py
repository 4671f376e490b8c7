# KERAS_BACKEND: tensorflow
"""ops.eye(2, 4, k=1) has another shape."""

import sys

import numpy as np
from keras import ops

got = tuple(ops.eye(2, 4, 1).shape)
print("expected:", np.eye(2, 4, 1).shape, "(NumPy)")
print("got:     ", got)
sys.exit(got == (2, 4))
