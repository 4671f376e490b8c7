# KERAS_BACKEND: torch
"""The gradient of ops.ldexp is 0 for a negative exponent."""

import sys

import numpy as np
import torch
from keras import ops

x = torch.tensor([3.0], requires_grad=True)
y = ops.ldexp(x, np.array([-1]))
y.sum().backward() if y.requires_grad else None
got = None if x.grad is None else float(x.grad[0])
print("expected: 0.5, since ldexp(x, -1) is x / 2")
print("got:     ", got)
sys.exit(got == 0.5)
