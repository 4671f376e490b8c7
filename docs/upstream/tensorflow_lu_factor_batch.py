# KERAS_BACKEND: tensorflow
"""ops.lu_factor fails for a batch of matrices."""

import sys

import numpy as np
from keras import ops

try:
    x = np.stack([np.eye(3, dtype="float32")] * 2)
    got = tuple(ops.lu_factor(x)[1].shape)
except Exception as error:
    got = type(error).__name__
print("expected: (2, 3)")
print("got:     ", got)
sys.exit(got == (2, 3))
