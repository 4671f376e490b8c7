"""PyTorch on a CPU: its fused attention, which never holds all scores.

Its mask would be as large as the scores. So masked keys are marked by one more
component, which is 1 in every query, and what depends on the distance of query
and key, such as blinding, is a Toeplitz matrix: a view of one vector.
"""

import math
from typing import Any

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
    offsets: Any,
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
    seen = count_valid(valid, queries, offsets)
    mask = None
    if offsets:
        # From the last key to the first, i + j depends on the distance only.
        keys, values = keys.flip(2), values.flip(2)
        distance = torch.arange(1 - steps, queries, device=keys.device)
        mask = keys.new_zeros(queries + steps - 1)
        mask[offsets.hidden(distance, 0)] = MASKED_SCORE
        mask = mask.as_strided((1, 1, queries, steps), (0, 0, 1, 1))
    if offsets.blinding:
        own = valid[:, :queries].to(seen.dtype)
        seen = seen - pad(own, (0, queries - own.shape[1]))
    found = scaled_dot_product_attention(query, keys, values, mask, scale=1.0)
    answered = torch.logical_and(seen > 0, query_valid)[:, None, :, None]
    # For scores that are all NaN it returns 0, also as the sum of the weights
    # (docs/upstream/torch_attention_nan.py).
    known = found[..., -1:] != 0
    other = torch.where(answered, math.nan, 0.0).to(found.dtype)
    return torch.where(answered & known, found[..., :-1], other)


def count_valid(valid: Tensor, queries: int, offsets: Any) -> Tensor:
    """How many valid keys each query sees, itself included."""
    if not offsets.causal and offsets.window is None:
        return valid.sum(dim=1, keepdim=True).expand(-1, queries)
    steps = valid.shape[1]
    window = steps + queries if offsets.window is None else offsets.window
    at_query = torch.arange(queries, device=valid.device)
    first = (at_query - window + 1).clamp(0, steps)
    last = at_query + (1 if offsets.causal else window)
    # Before each key, and at the end, how many valid ones there are.
    before = pad(valid.cumsum(dim=1), (1, 0))
    return before[:, last.clamp(max=steps)] - before[:, first]
