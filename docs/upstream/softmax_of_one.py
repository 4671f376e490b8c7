# KERAS_BACKEND: numpy
"""ops.softmax over an axis of size 1 gives a warning."""

import sys
import warnings

import numpy as np
from keras import ops

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    ops.softmax(np.ones((2, 1), "float32"))
print("expected: no warning")
print("got:     ", len(caught), "warning" if caught else "")
sys.exit(not caught)
