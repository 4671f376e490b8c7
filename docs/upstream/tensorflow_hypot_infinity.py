# KERAS_BACKEND: tensorflow
"""ops.hypot of infinity and infinity is NaN (keras#23131)."""

import sys

import numpy as np
from keras import ops

x = np.array([np.inf], "float32")
got = float(ops.hypot(x, x)[0])
print("expected:", float(np.hypot(x, x)[0]), "(NumPy)")
print("got:     ", got)
sys.exit(not np.isnan(got))
