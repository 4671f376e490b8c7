# KERAS_BACKEND: tensorflow
"""ops.softmax of NaN gives 0 for the other elements."""

import sys

import numpy as np
from keras import ops

got = ops.convert_to_numpy(ops.softmax(np.array([[np.nan, 0, 1]], "float32")))
print("expected: [nan, nan, nan], since each is divided by the sum")
print("got:     ", got[0].tolist())
sys.exit(bool(np.isnan(got).all()))
