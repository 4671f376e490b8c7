# KERAS_BACKEND: tensorflow
"""ops.isclose of infinity and infinity is False (keras#23128)."""

import sys

import numpy as np
from keras import ops

x = np.array([np.inf], "float32")
got = bool(ops.isclose(x, x)[0])
print("expected:", bool(np.isclose(x, x)[0]), "(NumPy)")
print("got:     ", got)
sys.exit(got)
