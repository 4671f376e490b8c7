# KERAS_BACKEND: torch
"""uint64 is rejected, although PyTorch supports it."""

import sys

import numpy as np
from keras import ops

try:
    got = str(ops.convert_to_tensor(np.array([1], "uint64")).dtype)
except ValueError as error:
    got = f"ValueError: {error}"
print("expected: an integer dtype")
print("got:     ", got)
sys.exit(not got.startswith("ValueError"))
