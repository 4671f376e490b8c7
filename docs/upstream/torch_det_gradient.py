# KERAS_BACKEND: torch
"""The gradient of ops.det of a singular matrix is 0."""

import sys

import torch
from keras import ops

matrix = [[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]]
x = torch.tensor(matrix, requires_grad=True)
ops.det(x).backward()
got = float(x.grad[0, 2])
print("expected: -4.0, the cofactor")
print("got:     ", got)
sys.exit(abs(got + 4) < 1e-3)
