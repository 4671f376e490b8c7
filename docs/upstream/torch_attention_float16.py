# KERAS_BACKEND: torch
"""Keras's Attention of float16 with a mask is NaN: it fills with -1e9."""

import sys

import keras
import numpy as np

x = keras.ops.ones((1, 2, 3), "float16")
mask = keras.ops.convert_to_tensor(np.array([[True, False]]))
y = keras.layers.Attention(dtype="float16")([x, x], mask=[mask, mask])
got = bool(keras.ops.any(keras.ops.isnan(y)))
print("expected: no NaN")
print("got:      NaN" if got else "got:      none")
sys.exit(not got)
