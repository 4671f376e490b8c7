# KERAS_BACKEND: tensorflow
"""ops.top_k of 1, NaN and 3 returns 3, ops.max returns NaN."""

import sys

import numpy as np
from keras import ops

x = ops.convert_to_tensor(np.array([[1.0, np.nan, 3.0]], "float32"))
got = float(ops.top_k(x, 1)[0][0, 0])
print("expected:", float(ops.max(x)))
print("got:     ", got)
sys.exit(bool(np.isnan(got)))
