# KERAS_BACKEND: torch
"""ops.stft without a window transforms other samples."""

import sys

import numpy as np
from keras import ops

x = np.random.default_rng(0).normal(size=40).astype("float32")
real, _ = ops.stft(x, 12, 4, 16, window=None, center=False)
got = float(real[0, 1])
expected = float(np.fft.rfft(x[:16])[1].real)
print("expected:", expected, "(NumPy; TensorFlow and JAX)")
print("got:     ", got)
sys.exit(abs(got - expected) < 1e-4)
