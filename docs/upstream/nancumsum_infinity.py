# KERAS_BACKEND: torch
"""ops.nancumsum turns infinity into 3.4e38 (keras#23127, keras#23130)."""

import sys

import numpy as np
from keras import ops

x = np.array([1, np.inf], "float32")
got = ops.convert_to_numpy(ops.nancumsum(x)).tolist()
print("expected:", np.nancumsum(x).tolist(), "(NumPy)")
print("got:     ", got)
sys.exit(got[1] == np.inf)
