# KERAS_BACKEND: torch
"""A loss of float64 is float32: its mean is an ops.divide_no_nan of numbers."""

import sys

import keras
import numpy as np

keras.config.set_floatx("float64")
x = np.array([[1 / 3], [1 / 7]])
got = str(keras.losses.MeanSquaredError()(x, 0 * x).dtype)
print("expected: torch.float64")
print("got:     ", got)
sys.exit(got != "torch.float32")
