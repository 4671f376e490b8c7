# KERAS_BACKEND: torch
"""ops.image.gaussian_blur without data_format blurs channels (keras#23542)."""

import sys

import numpy as np
from keras import ops

image = np.zeros((1, 5, 5, 3), "float32")
image[0, 2, 2, 0] = 1
got = ops.convert_to_numpy(ops.image.gaussian_blur(image))
print("expected: the other channels are 0")
print("got:      up to", float(np.abs(got[..., 1:]).max()))
sys.exit(got.shape == image.shape and not got[..., 1:].any())
