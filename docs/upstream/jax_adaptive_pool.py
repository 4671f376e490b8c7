# KERAS_BACKEND: jax
"""ops.adaptive_average_pool to the size of the input is not the identity."""

import sys

import numpy as np
from keras import ops

x = np.arange(7, dtype="float32").reshape(1, 7, 1)
got = ops.convert_to_numpy(ops.adaptive_average_pool(x, 7))
print("expected:", x.ravel().tolist())
print("got:     ", got.ravel().tolist())
sys.exit(np.array_equal(got, x))
