# KERAS_BACKEND: torch
"""ops.moments computes E[x^2] - E[x]^2, which cancels for a large mean."""

import sys

import numpy as np
from keras import ops

x = np.random.default_rng(0).normal(size=(64, 1)) + 1e4
got = float(ops.moments(x.astype("float32"), axes=[0])[1][0])
print("expected:", x.var(), "(NumPy)")
print("got:     ", got)
sys.exit(bool(abs(got - x.var()) < 0.01))
