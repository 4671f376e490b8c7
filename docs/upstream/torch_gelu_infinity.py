# KERAS_BACKEND: torch
"""ops.gelu(approximate=False) of infinity is NaN."""

import sys

import numpy as np
from keras import ops

x = np.full(16, np.inf, "float32")
got = float(ops.gelu(x, approximate=False)[0])
print("expected: inf, which is x times 1")
print("got:     ", got)
sys.exit(got == np.inf)
