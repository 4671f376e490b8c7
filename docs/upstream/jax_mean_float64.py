# KERAS_BACKEND: jax
"""ops.mean and LayerNormalization compute float64 in 32 bits."""

import sys

import jax
import numpy as np
from keras import ops

jax.config.update("jax_enable_x64", True)
x = np.array([1 / 3, 1 / 7])
got = abs(float(ops.mean(ops.convert_to_tensor(x))) - x.mean())
print("expected: off by less than 1e-15")
print("got:      off by", got)
sys.exit(bool(got < 1e-12))
