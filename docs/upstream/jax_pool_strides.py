# KERAS_BACKEND: jax
"""ops.max_pool and ops.average_pool fail without strides."""

import sys

import numpy as np
from keras import ops

try:
    got = tuple(ops.max_pool(np.ones((1, 6, 2), "float32"), 2).shape)
except TypeError as error:
    got = f"TypeError: {str(error)[:60]}"
print("expected: (1, 3, 2)")
print("got:     ", got)
sys.exit(got == (1, 3, 2))
