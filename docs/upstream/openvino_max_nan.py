# KERAS_BACKEND: openvino
"""A maximum ignores NaN; of -infinity it is the smallest finite number."""

import sys

import numpy as np
from keras import ops


def maximum(*numbers):
    x = np.array(numbers, "float32")
    return float(ops.convert_to_numpy(ops.amax(ops.convert_to_tensor(x))))


got = maximum(1.0, np.nan), maximum(-np.inf, -np.inf)
print("expected: (nan, -inf)")
print("got:     ", got)
sys.exit(bool(np.isnan(got[0])) and got[1] == -np.inf)
