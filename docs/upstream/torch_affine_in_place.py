# KERAS_BACKEND: torch
"""ops.image.affine_transform changes the transform that it is given."""

import sys

import numpy as np
from keras import ops

numbers = [[1, 0, -1.5, 0, 1, 0.5, 0, 0]]
transform = ops.convert_to_tensor(np.array(numbers, "float32"))
ops.image.affine_transform(np.zeros((1, 3, 3, 1), "float32"), transform)
got = ops.convert_to_numpy(transform).tolist()
print("expected:", numbers[0])
print("got:     ", got[0])
sys.exit(got == numbers)
