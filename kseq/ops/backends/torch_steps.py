"""PyTorch: functions for a loop's steps without the overhead of `keras.ops`.

In a loop of small steps the call of an operation costs more than its
computation, and `keras.ops.split` costs ten times as much as PyTorch's.
"""

import torch

from kseq.types import Tensor

sigmoid = torch.sigmoid
tanh = torch.tanh


def split(x: Tensor, sizes: tuple[int, ...]) -> tuple[Tensor, ...]:
    return torch.split(x, sizes, dim=-1)
