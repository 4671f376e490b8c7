# KERAS_BACKEND: torch
"""Gradients of attention are wrong for a query whose keys are all masked."""

import sys

import numpy as np
import torch
from keras import ops

random = np.random.default_rng(0)
v, c = random.normal(size=(2, 1, 3, 1, 2))
mask = torch.tensor([[[[1, 1, 1], [0, 0, 0], [1, 0, 1]]]], dtype=torch.bool)


def loss(v):
    outputs = ops.dot_product_attention(v, v, v, mask=mask)
    return (outputs * torch.tensor(c)).sum()


x = torch.tensor(v, requires_grad=True)
loss(x).backward()
step = np.zeros_like(v)
step[0, 1, 0, 0] = 1e-5
up, down = loss(torch.tensor(v + step)), loss(torch.tensor(v - step))
expected = (up - down).item() / 2e-5
got = x.grad[0, 1, 0, 0].item()
print("expected:", expected, "(finite differences)")
print("got:     ", got)
sys.exit(abs(got - expected) < 1e-4)
