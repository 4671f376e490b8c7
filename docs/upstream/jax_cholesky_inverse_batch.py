# KERAS_BACKEND: jax
"""ops.cholesky_inverse fails for a batch of matrices."""

import sys

import numpy as np
from keras import ops

try:
    x = np.stack([np.eye(3, dtype="float32")] * 2)
    got = tuple(ops.cholesky_inverse(x).shape)
except ValueError as error:
    got = f"ValueError: {str(error)[:60]}"
print("expected: (2, 3, 3)")
print("got:     ", got)
sys.exit(got == (2, 3, 3))
