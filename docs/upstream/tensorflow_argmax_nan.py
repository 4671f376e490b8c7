# KERAS_BACKEND: tensorflow
"""ops.argmax ignores NaN, ops.max does not."""

import sys

import numpy as np
from keras import ops

x = np.array([1, np.nan, 3], "float32")
got = int(ops.argmax(x))
print("expected:", int(np.argmax(x)), "(NumPy)")
print("got:     ", got)
sys.exit(got == 1)
