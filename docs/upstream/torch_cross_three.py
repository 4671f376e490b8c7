# KERAS_BACKEND: torch
"""ops.cross of three vectors is computed along the first axis."""

import sys

import numpy as np
from keras import ops

a = np.array([[1, 0, 0], [0, 1, 0], [1, 2, 3]], "float32")
b = np.array([[0, 1, 0], [0, 0, 1], [2, 0, 1]], "float32")
got = ops.convert_to_numpy(ops.cross(a, b)).tolist()
print("expected:", np.cross(a, b).tolist(), "(NumPy)")
print("got:     ", got)
sys.exit(got == np.cross(a, b).tolist())
