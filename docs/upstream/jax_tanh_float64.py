# KERAS_BACKEND: jax
"""ops.tanh of float64 returns float32."""

import sys

import jax
import numpy as np
from keras import ops

jax.config.update("jax_enable_x64", True)
got = str(ops.tanh(ops.convert_to_tensor(np.array([0.5]))).dtype)
print("expected: float64")
print("got:     ", got)
sys.exit(got != "float32")
