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

from benchmarks.gpu.kernels import gru, lstm, parts

KERNELS = {
    "GRU family, forward": (gru._forward, 3, {"FORM": 2}),
    "GRU family, backward": (gru._backward, 3, {"FORM": 2}),
    "LSTM, forward": (lstm._forward, 4, {"REVERSE": False}),
    "LSTM, backward": (lstm._backward, 4, {"REVERSE": False}),
}
POINTERS = {torch.float32: "*fp32", torch.bfloat16: "*bf16"}
SIZES = ("R", "K", "B", "T", "H")


def compile_for_hopper(kernel, constants, options, dtype):
    """(registers, bytes of local memory, bytes of shared memory)."""
    warps = options.pop("num_warps")
    constants = {"KEEP": True, **constants, **options}

    def kind(name):
        if name in constants:
            return "constexpr"
        if name in SIZES:
            return "i32"
        return "*u8" if name == "valid" else POINTERS[dtype]

    signature = {name: kind(name) for name in kernel.arg_names}
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
    print("| kernel | units | products | registers | spilled, B | shared, kB |")
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
            try:
                options = parts.Launch(precision).options(weight, gates)
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
