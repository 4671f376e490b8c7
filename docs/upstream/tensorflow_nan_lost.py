# KERAS_BACKEND: tensorflow
"""ops.hard_shrink, soft_shrink, threshold, heaviside and angle lose NaN."""

import sys

import numpy as np
from keras import ops

x = np.array([np.nan], "float32")
calls = {
    "hard_shrink": ops.hard_shrink,
    "soft_shrink": ops.soft_shrink,
    "threshold": lambda x: ops.threshold(x, 0.5, -1.0),
    "heaviside": lambda x: ops.heaviside(x, 0.5),
    "angle": ops.angle,
}
got = {name: float(f(x)[0]) for name, f in calls.items()}
print("expected: NaN, as from NumPy or PyTorch")
print("got:     ", got)
sys.exit(bool(np.isnan([*got.values()]).all()))
