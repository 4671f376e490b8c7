"""Print versions, backend and devices for a bug report: `python -m kseq`."""

import argparse
import os
import platform
import sys
from collections.abc import Iterator, Sequence

import keras

import kseq
from kseq.agreement import probes
from kseq.installed import PACKAGES, versions

OPTIONAL_PACKAGES = (
    "h5py",
    "scipy",
    "rich",
    "cityhash",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "tf2onnx",
    "jax2onnx",
    "ai-edge-litert",
    "litert-torch",
    "keras-rs",
    "keras-tuner",
)
# Environment variables that change numbers, devices or speed.
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
        description="Print versions, backend and devices for a bug report.",
    ).parse_args(arguments)
    for name, value in environment():
        print(f"{name:{max(map(len, VARIABLES))}}  {value}")
    return 0


def environment() -> Iterator[tuple[str, str]]:
    """Yield the names and values of the report.

    The devices come last: asking for them may fail.
    """
    found = versions((*PACKAGES, *OPTIONAL_PACKAGES))
    yield from ({"kseq": kseq.__version__} | found).items()
    system = f"{platform.platform()}, {platform.machine()}"
    yield "machine", f"{system}, {os.cpu_count()} cores"
    yield from ((n, os.environ[n]) for n in VARIABLES if n in os.environ)
    yield "backend", keras.backend.backend()
    policy = keras.config.dtype_policy().name
    yield "dtype policy", f"{policy}, floatx {keras.config.floatx()}"
    yield "devices", ", ".join(probes.devices())


if __name__ == "__main__":
    sys.exit(main())
