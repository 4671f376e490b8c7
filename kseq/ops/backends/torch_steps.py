"""PyTorch: small functions without the overhead of `keras.ops`.

In a loop of small steps the call of an operation costs more than its
computation. `keras.ops.split` costs ten times as much as PyTorch's, and
`keras.ops.reshape` thirty times: it looks for symbolic tensors in the shape.
"""

import torch

from kseq.types import Tensor

reshape = torch.reshape
sigmoid = torch.sigmoid
tanh = torch.tanh


def split(x: Tensor, sizes: tuple[int, ...]) -> tuple[Tensor, ...]:
    return torch.split(x, sizes, dim=-1)
