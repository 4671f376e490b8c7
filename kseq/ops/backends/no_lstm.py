"""Backends without an LSTM of their own that keeps kseq's promises."""

from kseq.types import Tensor


def fused_lstm(
    x: Tensor,
    valid: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor,
    reverse: bool,
) -> Tensor | None:
    return None
