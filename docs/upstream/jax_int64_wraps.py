# KERAS_BACKEND: jax
"""An int64 that does not fit int32 wraps (on the NumPy backend, too)."""

import sys

import numpy as np
from keras import ops

got = int(ops.convert_to_tensor(np.array([2**33 + 1]))[0])
print("expected: 8589934593, or an error")
print("got:     ", got)
sys.exit(got != 1)
