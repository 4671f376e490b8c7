# KERAS_BACKEND: torch
"""ops.sign and ops.heaviside of NaN are numbers."""

import sys

import numpy as np
from keras import ops

x = np.array([np.nan], "float32")
got = [float(ops.sign(x)[0]), float(ops.heaviside(x, 0.5)[0])]
print("expected: [nan, nan], as from NumPy")
print("got:     ", got)
sys.exit(bool(np.isnan(got).all()))
