"""What to put into a bug report: `python -m kseq`."""

import argparse
import sys
from collections.abc import Iterator, Sequence

import keras

import kseq
from kseq.agreement import probes
from kseq.installed import facts, show


def main(arguments: Sequence[str] | None = None) -> int:
    argparse.ArgumentParser(
        prog="python -m kseq",
        description="Versions, backend and devices, for a bug report.",
    ).parse_args(arguments)
    # First what needs no device: to ask for these may fail.
    show(({"kseq": kseq.__version__} | facts()).items())
    show(of_keras())
    return 0


def of_keras() -> Iterator[tuple[str, str]]:
    yield "backend", keras.backend.backend()
    policy = keras.config.dtype_policy().name
    yield "dtype policy", f"{policy}, floatx {keras.config.floatx()}"
    yield "devices", ", ".join(probes.devices())


if __name__ == "__main__":
    sys.exit(main())
