# KERAS_BACKEND: torch
"""Integers of uint64 are refused, though PyTorch has them."""

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
