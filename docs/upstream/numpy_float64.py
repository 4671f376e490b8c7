# KERAS_BACKEND: numpy
"""A layer with the dtype policy float64 computes in float32."""

import sys

import keras
import numpy as np

layer = keras.layers.Dense(1, use_bias=False, dtype="float64")
got = str(keras.ops.convert_to_numpy(layer(np.array([[1.0]]))).dtype)
print("expected: float64")
print("got:     ", got)
sys.exit(got != "float32")
