# KERAS_BACKEND: torch
"""ops.mean of float64 gives float32, and so do Keras's losses."""

import sys

import numpy as np
from keras import ops

got = str(ops.mean(ops.convert_to_tensor(np.array([1.0, 2.0]))).dtype)
print("expected: torch.float64")
print("got:     ", got)
sys.exit(got != "torch.float32")
