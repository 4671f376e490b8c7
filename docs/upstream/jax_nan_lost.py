# KERAS_BACKEND: jax
"""ops.hard_shrink, soft_shrink and threshold turn NaN into a number."""

import sys

import numpy as np
from keras import ops

x = np.array([np.nan], "float32")
calls = {
    "hard_shrink": ops.hard_shrink,
    "soft_shrink": ops.soft_shrink,
    "threshold": lambda x: ops.threshold(x, 0.5, -1.0),
}
got = {name: float(f(x)[0]) for name, f in calls.items()}
print("expected: NaN, as from PyTorch")
print("got:     ", got)
sys.exit(bool(np.isnan([*got.values()]).all()))
