# KERAS_BACKEND: torch
"""An unrolled GRU with go_backwards and a mask raises an error."""

import sys

import keras
import numpy as np

layer = keras.layers.GRU(2, unroll=True, go_backwards=True)
x, mask = np.ones((2, 3, 2), "float32"), np.ones((2, 3), bool)
try:
    got = tuple(layer(x, mask=keras.ops.convert_to_tensor(mask)).shape)
except Exception as error:
    got = "an error: " + str(error).splitlines()[2].strip("\x1b[1m0")
print("expected: (2, 2), the shape of the output")
print("got:     ", got)
sys.exit(got == (2, 2))
