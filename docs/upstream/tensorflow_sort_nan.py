# KERAS_BACKEND: tensorflow
"""ops.sort puts NaN first, ops.searchsorted finds it before all numbers."""

import sys

import numpy as np
from keras import ops

got = ops.convert_to_numpy(ops.sort(np.array([1, np.nan, 0], "float32")))
print("expected: [0.0, 1.0, nan] (NumPy)")
print("got:     ", got.tolist())
sys.exit(bool(np.isnan(got[2])))
