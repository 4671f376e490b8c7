"""PyTorch's LSTM on a CPU, with the valid steps of each sequence moved first.

It has no mask. But a step affects later ones only, so padding at the end does
no harm; results are moved back afterwards.
"""

import torch

from kseq.ops.backends.torch_buckets import (
    can_depend_on_data,
    cut_rows,
    put_rows,
)
from kseq.types import Tensor

# In half precision it sums in half precision, or has no kernel.
DTYPES = (torch.float32, torch.float64)


def fused_lstm(
    x: Tensor,
    valid: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor,
    reverse: bool,
) -> Tensor | None:
    # On a GPU, PyTorch lets cuDNN round its products to 19 bits.
    if x.dtype not in DTYPES or not can_depend_on_data(x):
        return None
    order = _order(valid, reverse)
    state = x.new_zeros(1, x.shape[0], recurrent_kernel.shape[0])
    weights = [
        kernel.t(),
        recurrent_kernel.t(),
        bias,
        torch.zeros_like(bias),  # it has two
    ]
    outputs, _, _ = torch.lstm(
        cut_rows(x.reshape(-1, x.shape[-1]), order).reshape(x.shape),
        (state, state),
        weights,
        True,  # with biases
        1,  # layer
        0.0,  # dropout
        True,  # for a gradient
        False,  # one direction
        True,  # batch first
    )
    rows = outputs.reshape(-1, outputs.shape[-1])
    return put_rows(rows, order, len(rows)).reshape(outputs.shape)


def _order(valid: Tensor, reverse: bool) -> Tensor:
    """The rows of all steps of all sequences, valid steps first."""
    if reverse:
        valid = valid.flip(1)
    order = torch.argsort((~valid).to(torch.uint8), dim=1, stable=True)
    batch, steps = valid.shape
    if reverse:
        order = steps - 1 - order
    first = steps * torch.arange(batch, device=valid.device)
    return (order + first[:, None]).reshape(-1)
