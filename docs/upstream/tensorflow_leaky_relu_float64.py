# KERAS_BACKEND: tensorflow
"""ops.leaky_relu of float64 has a slope of 32 bits."""

import sys

import numpy as np
from keras import ops

got = abs(
    float(ops.leaky_relu(ops.convert_to_tensor(np.array([-1.0])))[0]) + 0.2
)
print("expected: off by less than 1e-16")
print("got:      off by", got)
sys.exit(got < 1e-16)
