# KERAS_BACKEND: torch
"""ops.segment_min of integers: an empty segment is the smallest integer."""

import sys

import numpy as np
from keras import ops

x, ids = np.array([1, 2, 3], "int32"), np.array([0, 2, 2], "int32")
got = ops.convert_to_numpy(ops.segment_min(x, ids, 3)).tolist()
print("expected:", [1, 2**31 - 1, 2], "as on TensorFlow and JAX")
print("got:     ", got)
sys.exit(got[1] > 0)
