"""PyTorch: what a step of a loop calls, without what `keras.ops` adds.

At each of many steps the call of a small operation costs more than it computes,
and `keras.ops.split` ten times more than PyTorch's.
"""

import torch

from kseq.types import Tensor

sigmoid = torch.sigmoid
tanh = torch.tanh


def split(x: Tensor, sizes: tuple[int, ...]) -> tuple[Tensor, ...]:
    return torch.split(x, sizes, dim=-1)
