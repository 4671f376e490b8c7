# KERAS_BACKEND: torch
"""ops.istft does not invert ops.stft, which it does on JAX."""

import sys

import numpy as np
from keras import ops

x = np.random.default_rng(0).normal(size=40).astype("float32")
y = ops.istft(ops.stft(x, 12, 4, 16), 12, 4, 16, length=40)
got = float(np.abs(ops.convert_to_numpy(y) - x).max())
print("expected: off by less than 1e-6")
print("got:      off by", got)
sys.exit(got < 1e-6)
