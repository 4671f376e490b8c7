# KERAS_BACKEND: torch
"""ops.pad(mode="symmetric") pads with other elements (keras#23230)."""

import sys

import numpy as np
from keras import ops

x = np.arange(3, dtype="float32")[None]
want = np.pad(x, ((0, 0), (0, 2)), mode="symmetric")
got = ops.convert_to_numpy(ops.pad(x, ((0, 0), (0, 2)), mode="symmetric"))
print("expected:", want.tolist(), "(NumPy)")
print("got:     ", got.tolist())
sys.exit(np.array_equal(got, want))
