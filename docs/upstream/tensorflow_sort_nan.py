# KERAS_BACKEND: tensorflow
"""ops.sort puts NaN before -infinity, and last otherwise."""

import sys

import numpy as np
from keras import ops

got = ops.convert_to_numpy(ops.sort(np.array([np.nan, -np.inf], "float32")))
print("expected: [-inf, nan] (NumPy)")
print("got:     ", got.tolist())
sys.exit(bool(np.isnan(got[1])))
