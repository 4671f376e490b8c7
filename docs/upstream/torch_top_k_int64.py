# KERAS_BACKEND: torch
"""ops.top_k returns int64 indices; a symbolic call promises int32."""

import sys

import keras
import numpy as np

got = str(keras.ops.top_k(np.ones((2, 3), "float32"), 2)[1].dtype)
print("expected:", keras.ops.top_k(keras.Input((3,)), 2)[1].dtype)
print("got:     ", got)
sys.exit("int32" in got)
