"""PyTorch's LSTM on a CPU, over sequences whose steps that count are put first.

It knows no mask. But a step acts on later ones only, so what does not count
does no harm at the end; there it is put, and then back to its place.
"""

import torch

from kseq.ops.backends.torch_groups import can_group, cut_rows, put_rows
from kseq.types import Tensor

# Of halves it sums in halves, or has no kernel.
DTYPES = (torch.float32, torch.float64)


def fused_lstm(
    x: Tensor,
    valid: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor,
    reverse: bool,
) -> Tensor | None:
    # PyTorch lets a GPU's round its products to 19 bits.
    if x.dtype not in DTYPES or not can_group(x):
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
    """The rows of all steps of all sequences, those that count first."""
    if reverse:
        valid = valid.flip(1)
    order = torch.argsort((~valid).to(torch.uint8), dim=1, stable=True)
    batch, steps = valid.shape
    if reverse:
        order = steps - 1 - order
    first = steps * torch.arange(batch, device=valid.device)
    return (order + first[:, None]).reshape(-1)
