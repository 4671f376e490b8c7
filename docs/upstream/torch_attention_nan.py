# KERAS_BACKEND: torch
"""On a CPU, attention returns 0 for a query of NaN."""

import sys

import torch

q = torch.full((1, 1, 1, 4), float("nan"))
k = torch.ones(1, 1, 3, 4)
got = torch.nn.functional.scaled_dot_product_attention(q, k, k).flatten()
print("expected: [nan, nan, nan, nan]")
print("got:     ", got.tolist())
sys.exit(bool(got.isnan().all()))
