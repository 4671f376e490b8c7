# KERAS_BACKEND: torch
"""A float64 loss is float32: ops.divide_no_nan of Python numbers is."""

import sys

import keras
import numpy as np

keras.config.set_floatx("float64")
x = np.array([[1 / 3], [1 / 7]])
got = str(keras.losses.MeanSquaredError()(x, 0 * x).dtype)
print("expected: torch.float64")
print("got:     ", got)
sys.exit(got != "torch.float32")
