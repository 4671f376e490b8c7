# KERAS_BACKEND: jax
"""ops.mean of float64 gives float32, and so does LayerNormalization."""

import sys

import jax
import numpy as np
from keras import ops

jax.config.update("jax_enable_x64", True)
got = str(ops.mean(ops.convert_to_tensor(np.array([1.0, 2.0]))).dtype)
print("expected: float64")
print("got:     ", got)
sys.exit(got != "float32")
