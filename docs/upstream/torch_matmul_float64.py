# KERAS_BACKEND: torch
"""ops.matmul of float64 returns float32."""

import sys

import numpy as np
from keras import ops

x = ops.convert_to_tensor(np.array([[1.0]]))
got = str(ops.matmul(x, x).dtype)
print("expected: torch.float64")
print("got:     ", got)
sys.exit(got != "torch.float32")
