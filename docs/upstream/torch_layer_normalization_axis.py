# KERAS_BACKEND: torch
"""ops.layer_normalization over axis 0 of a matrix fails."""

import sys

import numpy as np
from keras import ops

try:
    x = np.ones((3, 4), "float32")
    got = tuple(ops.layer_normalization(x, axis=0).shape)
except RuntimeError as error:
    got = error
print("expected: (3, 4)")
print("got:     ", got)
sys.exit(got == (3, 4))
