"""What to put into a bug report: `python -m kseq`."""

import argparse
import os
import platform
import sys
from collections.abc import Iterator, Sequence

import keras

import kseq
from kseq.agreement import probes
from kseq.installed import versions

# What changes numbers, devices or speed.
VARIABLES = (
    "KERAS_BACKEND",
    "KERAS_HOME",
    "CUDA_VISIBLE_DEVICES",
    "JAX_PLATFORMS",
    "JAX_ENABLE_X64",
    "JAX_DEFAULT_MATMUL_PRECISION",
    "NVIDIA_TF32_OVERRIDE",
    "TF_ENABLE_ONEDNN_OPTS",
    "XLA_FLAGS",
)


def main(arguments: Sequence[str] | None = None) -> int:
    argparse.ArgumentParser(
        prog="python -m kseq",
        description="Versions, backend and devices, for a bug report.",
    ).parse_args(arguments)
    rows = list(facts())
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:{width}}  {value}")
    return 0


def facts() -> Iterator[tuple[str, str]]:
    """Name and value of what could matter, one a line."""
    yield from ({"kseq": kseq.__version__} | versions()).items()
    yield (
        "machine",
        f"{platform.platform()}, {platform.machine()}, {os.cpu_count()} cores",
    )
    yield "backend", keras.backend.backend()
    yield "devices", ", ".join(probes.devices())
    policy = keras.config.dtype_policy().name
    yield "dtype policy", f"{policy}, floatx {keras.config.floatx()}"
    for name in VARIABLES:
        if name in os.environ:
            yield name, os.environ[name]


if __name__ == "__main__":
    sys.exit(main())
