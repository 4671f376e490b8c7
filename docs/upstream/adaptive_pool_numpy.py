# KERAS_BACKEND: tensorflow
"""ops.adaptive_max_pool of a NumPy array fails."""

import sys

import numpy as np
from keras import ops

try:
    got = tuple(ops.adaptive_max_pool(np.ones((1, 7, 2), "float32"), 3).shape)
except AttributeError as error:
    got = error
print("expected: (1, 3, 2)")
print("got:     ", got)
sys.exit(got == (1, 3, 2))
