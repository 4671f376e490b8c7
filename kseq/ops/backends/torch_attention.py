"""PyTorch on a CPU: its fused attention, which never holds all scores.

Its mask would be as large as the scores. So masked keys are marked by one more
component, which is 1 in every query, and blinding is a Toeplitz matrix: a view
of one vector.
"""

import math

import torch
from torch.nn.functional import pad, scaled_dot_product_attention

from kseq.ops.backends.torch_buckets import can_depend_on_data
from kseq.ops.numerics import MASKED_SCORE
from kseq.types import Tensor


def fused_attention(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    query_valid: Tensor,
    valid: Tensor,
    blinding: bool,
) -> Tensor | None:
    if (
        query.dtype not in (torch.float32, torch.float64)
        or not can_depend_on_data(query)
        or not can_depend_on_data(keys)
    ):
        return None
    queries, steps = query.shape[2], keys.shape[2]
    penalty = torch.where(valid, 0.0, MASKED_SCORE).to(keys.dtype)[
        :, None, :, None
    ]
    penalty = penalty.expand(-1, keys.shape[1], -1, -1)
    keys = torch.cat([keys, penalty], dim=-1)
    query, values = (pad(x, (0, 1), value=1.0) for x in (query, values))
    seen = valid.sum(dim=1, keepdim=True).expand(-1, queries)
    mask = None
    if blinding:
        # From the last key to the first, i + j is the same, steps - 1, wherever
        # query i would see itself.
        keys, values = keys.flip(2), values.flip(2)
        sums = keys.new_zeros(queries + steps - 1)
        sums[steps - 1] = MASKED_SCORE
        mask = sums.as_strided((1, 1, queries, steps), (0, 0, 1, 1))
        own = valid[:, :queries].to(seen.dtype)
        seen = seen - pad(own, (0, queries - own.shape[1]))
    found = scaled_dot_product_attention(query, keys, values, mask, scale=1.0)
    answered = torch.logical_and(seen > 0, query_valid)[:, None, :, None]
    # For scores that are all NaN it returns 0, also as the sum of the weights
    # (docs/upstream/torch_attention_nan.py).
    known = found[..., -1:] != 0
    other = torch.where(answered, math.nan, 0.0).to(found.dtype)
    return torch.where(answered & known, found[..., :-1], other)
