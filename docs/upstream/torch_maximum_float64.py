# KERAS_BACKEND: torch
"""ops.maximum of float64 and a Python number returns float32."""

import sys

import numpy as np
from keras import ops

got = str(ops.maximum(ops.convert_to_tensor(np.array([1.0])), 0.0).dtype)
print("expected: torch.float64")
print("got:     ", got)
sys.exit(got != "torch.float32")
