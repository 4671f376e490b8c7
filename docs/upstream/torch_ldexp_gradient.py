# KERAS_BACKEND: torch
"""The gradient of ops.ldexp with respect to x is lost."""

import sys

import numpy as np
import torch
from keras import ops

x = torch.tensor([3.0], requires_grad=True)
y = ops.ldexp(x, np.array([2]))
y.sum().backward() if y.requires_grad else None
got = None if x.grad is None else float(x.grad[0])
print("expected: 4.0, since ldexp(x, 2) is 4 x")
print("got:     ", got)
sys.exit(got == 4.0)
