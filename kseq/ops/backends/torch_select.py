"""PyTorch on a CPU: a select as fast as a product, by a bitwise "and".

`torch.where` does not vectorise a broadcast condition, "and" does; it turns NaN
into 0 as a select does.
"""

from typing import Any

import torch

from kseq.ops.backends.torch_buckets import can_depend_on_data
from kseq.types import Tensor

# The integer dtypes of the same size.
INTEGERS = {
    torch.float16: torch.int16,
    torch.bfloat16: torch.int16,
    torch.float32: torch.int32,
    torch.float64: torch.int64,
}


def fill_steps(x: Tensor, valid: Tensor, value: float = 0) -> Tensor:
    # A compiler fuses a select with what comes next.
    if value or x.dtype not in INTEGERS or not can_depend_on_data(x):
        return torch.where(valid, x, value)
    return _KeepBits.apply(x, -valid.to(INTEGERS[x.dtype]))


def may_be_any_true(condition: Tensor) -> bool:
    return not can_depend_on_data(condition) or bool(condition.any())


class _KeepBits(torch.autograd.Function):
    """The bits of x where those of the mask are set."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, mask: Tensor) -> Tensor:
        return (x.view(mask.dtype) & mask).view(x.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        ctx.save_for_backward(inputs[1])
        ctx.save_for_forward(inputs[1])

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:
        (mask,) = ctx.saved_tensors
        return _KeepBits.apply(upstream, mask), None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:
        (mask,) = ctx.saved_tensors
        return _KeepBits.apply(tangent, mask)
