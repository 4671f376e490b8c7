# KERAS_BACKEND: openvino
"""A maximum leaves out NaN, and of -infinity is the least finite number."""

import sys

import numpy as np
from keras import ops


def largest(*numbers):
    x = np.array(numbers, "float32")
    return float(ops.convert_to_numpy(ops.amax(ops.convert_to_tensor(x))))


got = largest(1.0, np.nan), largest(-np.inf, -np.inf)
print("expected: (nan, -inf)")
print("got:     ", got)
sys.exit(bool(np.isnan(got[0])) and got[1] == -np.inf)
