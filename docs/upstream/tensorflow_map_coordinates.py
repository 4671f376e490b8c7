# KERAS_BACKEND: tensorflow
"""ops.image.map_coordinates: "reflect" is wrong before the first element."""

import sys

import numpy as np
from keras import ops

x, at = np.arange(6, dtype="float32"), np.array([[-2.0, -1.0]], "float32")
got = ops.convert_to_numpy(
    ops.image.map_coordinates(x, at, 1, fill_mode="reflect")
).tolist()
print("expected: [1.0, 0.0], as scipy.ndimage.map_coordinates, PyTorch, JAX")
print("got:     ", got)
sys.exit(got == [1.0, 0.0])
