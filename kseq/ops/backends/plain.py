"""JAX, NumPy, OpenVINO: what `keras.ops` has, and no forms of their own."""

from collections.abc import Callable

from keras import ops

from kseq.types import Tensor


def zero_steps(x: Tensor, valid: Tensor) -> Tensor:
    for _ in range(len(x.shape) - 2):
        valid = ops.expand_dims(valid, -1)
    return ops.where(valid, x, 0)


def by_groups(
    function: Callable[..., tuple[Tensor, ...]],
    examples: tuple[Tensor, ...],
    sequence: Tensor,
    valid: Tensor,
) -> tuple[Tensor, ...]:
    return function(*examples, sequence, valid)


def fused_attention(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    query_valid: Tensor,
    valid: Tensor,
    blinding: bool,
) -> Tensor | None:
    return None


def fused_lstm(
    x: Tensor,
    valid: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor,
    reverse: bool,
) -> Tensor | None:
    return None
