"""Compile the kernels for a Hopper GPU, which needs no GPU.

    python -m benchmarks.gpu.kernels.compiled

Prints the registers and bytes of local memory (spills) of a thread, and the
shared memory of a program, which has at most 227 kB.
"""

import itertools
import re
import subprocess
import tempfile
from pathlib import Path

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from benchmarks.gpu.kernels import din, gru, lstm, parts

GRU, LSTM = {"FORM": 2, "KEEP": True}, {"REVERSE": False, "KEEP": True}
DIN = {"ACTIVATION": din.ACTIVATIONS["sigmoid"], "NORMALIZE": False, "LAYER": 0}
# Each with its number of gates; DIN with hidden layers of 80 and 40 units.
KERNELS = {
    "GRU family, forward": (gru._forward, 3, GRU),
    "GRU family, backward": (gru._backward, 3, GRU),
    "LSTM, forward": (lstm._forward, 4, LSTM),
    "LSTM, backward": (lstm._backward, 4, LSTM),
    "DIN, forward": (din._pool, 0, DIN),
    "DIN, backward": (din._backward, 0, DIN),
}
POINTERS = {torch.float32: "*fp32", torch.bfloat16: "*bf16"}
FLOAT32 = ("delta", "log_sum")
SIZES = ("R", "K", "B", "T", "H", "PROGRAMS")


def compile_for_hopper(kernel, constants, options, dtype):
    """(registers, bytes of local memory, bytes of shared memory)."""
    warps = options.pop("num_warps")
    constants = {
        name: value
        for name, value in {**constants, **options}.items()
        if name in kernel.arg_names
    }
    x, f = POINTERS[dtype], "*fp32"
    groups = {
        "tensors": (x, x, f, ((x, x), f, x, f), f),
        "gradients": (f, x, f, ((f, f), f, f, f), f),
        "sizes": ("i32",) * 6,
        "valid": "*u8",
        **dict.fromkeys(constants, "constexpr"),
        **dict.fromkeys(SIZES, "i32"),
        **dict.fromkeys(FLOAT32, f),
    }
    signature = {name: groups.get(name, x) for name in kernel.arg_names}
    compiled = triton.compile(
        ASTSource(kernel, signature=signature, constexprs=constants),
        target=GPUTarget("cuda", 90, 32),
        options={"num_warps": warps},
    )
    return *_usage(compiled.asm["cubin"]), compiled.metadata.shared


def _usage(cubin):
    tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        text = subprocess.check_output([tool, "-res-usage", file.name])
    found = re.search(r"REG:(\d+) STACK:(\d+)", text.decode())
    return int(found[1]), int(found[2])


def main():
    print(f"Triton {triton.__version__}, sm_90\n")
    print("| kernel | width | products | registers | spilled, B | shared, kB |")
    print("|---|---|---|---|---|---|")
    products = (
        (torch.float32, "ieee"),
        (torch.float32, "tf32x3"),
        (torch.bfloat16, "ieee"),
    )
    for (name, (kernel, gates, constants)), (
        dtype,
        precision,
    ) in itertools.product(KERNELS.items(), products):
        label = "bfloat16" if dtype == torch.bfloat16 else precision
        for units in (16, 32, 64, 128):
            weight = torch.empty(units, 1, dtype=dtype)
            launch = parts.Launch(precision)
            try:
                options = (
                    launch.options(weight, gates)
                    if gates
                    else launch.din_options(units, 40)
                )
            except ValueError:
                continue  # too large
            registers, spilled, shared = compile_for_hopper(
                kernel, constants, options, dtype
            )
            print(
                f"| {name} | {units} | {label} | {registers} | {spilled} "
                f"| {shared / 1024:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
