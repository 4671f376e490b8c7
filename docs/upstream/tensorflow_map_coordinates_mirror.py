# KERAS_BACKEND: tensorflow
"""ops.image.map_coordinates: "mirror" fails outside of the image."""

import sys

import numpy as np
from keras import ops

x, at = np.arange(6, dtype="float32"), np.array([[5.5]], "float32")
try:
    got = float(ops.image.map_coordinates(x, at, 1, fill_mode="mirror")[0])
except Exception as error:
    got = type(error).__name__
print("expected: 4.5, as scipy.ndimage.map_coordinates, PyTorch, JAX")
print("got:     ", got)
sys.exit(got == 4.5)
