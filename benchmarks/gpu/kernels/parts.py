"""What the kernels of GRU, LSTM and DIN share."""

import dataclasses
import os
from typing import Any

import torch
import triton
import triton.language as tl

INTERPRETED = tl.constexpr(os.environ.get("TRITON_INTERPRET") == "1")
# Gates of more bytes are computed again for the gradient, not kept.
MAX_KEPT_BYTES = 2**28
# The weights of a program are in its shared memory, of which Hopper has 227 kB.
# Products in TF32 need three times as much.
MAX_WEIGHT_BYTES = 227 * 1024


@dataclasses.dataclass
class Launch:
    """How a kernel is launched.

    Args:
        precision: of float32 products: "ieee", "tf32x3" (three products in
            TF32, about 22 bits) or "tf32".
        rows: sequences of one program; None: 16, which a tensor core needs, or
            4 where none is used.
        steps: of a tile of DIN's attention; None: 32.
        warps: of one program; None: by the number of units.
        keep: whether gates are kept for the gradient; None: by their size.
    """

    precision: str = "ieee"
    rows: int | None = None
    steps: int | None = None
    warps: int | None = None
    keep: bool | None = None

    def options(self, weight: torch.Tensor, gates: int) -> dict[str, Any]:
        """Constants of the recurrent kernels, from a weight `(units, ...)`."""
        units = len(weight)
        block = max(16, triton.next_power_of_2(units))
        size = weight.element_size()
        is_ieee = self.precision == "ieee" or size == 2
        bytes_ = gates * block**2 * size * (1 if is_ieee else 3)
        if bytes_ > MAX_WEIGHT_BYTES:
            raise ValueError(
                f"weights: expected at most {MAX_WEIGHT_BYTES} bytes of shared "
                f"memory; {units} units need {bytes_}"
            )
        return {
            "BLOCK_ROWS": self.rows or (4 if is_ieee and size == 4 else 16),
            "BLOCK_UNITS": block,
            "BLOCK_STEPS": 64,
            "PRECISION": self.precision,
            "num_warps": self.warps or {16: 4, 128: 16}.get(block, 8),
        }

    def din_options(self, dim: int, units: int) -> dict[str, Any]:
        """Constants of DIN's kernels; units: of the second hidden layer."""
        return {
            "BLOCK_STEPS": self.steps or 32,
            "BLOCK_DIM": max(16, triton.next_power_of_2(dim)),
            "BLOCK_SECOND": max(16, triton.next_power_of_2(units)),
            "PRECISION": self.precision,
            "num_warps": self.warps or 8,
        }

    def kept(self, projected: torch.Tensor, rows: int) -> bool:
        if self.keep is not None:
            return self.keep
        _, steps, width = projected.shape
        gates = rows * steps * width * projected.element_size()
        return gates <= MAX_KEPT_BYTES


# Read at each launch.
launch = Launch()


def contiguous(*tensors):
    """Tensors as the kernels read them: contiguous, bool as bytes."""
    for x in tensors:
        if x is not None and x.dtype == torch.bool:
            x = x.view(torch.uint8)
        yield x if x is None else x.contiguous()


@triton.jit
def sigmoid(x):
    e = tl.exp(-tl.abs(x))  # does not overflow
    return tl.where(x < 0, e, 1.0) / (1.0 + e)


@triton.jit
def tanh(x):
    e = tl.exp(-2.0 * tl.abs(x))
    y = (1.0 - e) / (1.0 + e)
    return tl.where(x < 0, -y, y)


@triton.jit
def dot(x, weight, PRECISION: tl.constexpr):
    """A product with sums in float32."""
    x = x.to(weight.dtype)
    if INTERPRETED:
        # Triton's interpreter multiplies the bits of bfloat16 as integers.
        x, weight = x.to(tl.float32), weight.to(tl.float32)
    return tl.dot(x, weight, input_precision=PRECISION)


@triton.jit
def load_weight(weight, part, units, H, PARTS: tl.constexpr):
    """One part, `(units, units)`, of a weight `(units, PARTS * units)`."""
    at = units[:, None] * (PARTS * H) + part * H + units[None, :]
    inside = (units < H)[:, None] & (units < H)[None, :]
    return tl.load(weight + at, mask=inside, other=0.0)


@triton.jit
def load(pointer, at, mask):
    return tl.load(pointer + at, mask=mask, other=0.0).to(tl.float32)


@triton.jit
def store(pointer, at, value, mask):
    tl.store(pointer + at, value.to(pointer.dtype.element_ty), mask=mask)


@triton.jit
def last_step(valid, examples, inside, T, BLOCK_STEPS: tl.constexpr):
    """One more than the last valid step of the block's sequences."""
    last = 0
    for start in range(0, T, BLOCK_STEPS):
        steps = start + tl.arange(0, BLOCK_STEPS)
        mask = inside[:, None] & (steps < T)[None, :]
        at = examples[:, None] * T + steps[None, :]
        on = tl.load(valid + at, mask=mask, other=0) != 0
        ends = tl.max(tl.where(on, steps[None, :] + 1, 0), axis=1)
        last = tl.maximum(last, tl.max(ends, axis=0))
    return last
