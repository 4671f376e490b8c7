"""What is here, asked before Keras is imported: it may fail to be."""

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import sys
import traceback
from collections.abc import Iterable, Sequence

BACKENDS = ("tensorflow", "torch", "jax", "openvino")
PACKAGES = (
    "kseq",
    "keras",
    "numpy",
    "tensorflow",
    "tensorflow-cpu",
    "torch",
    "jax",
    "openvino",
)
# What else kseq, its examples and its exports meet.
OTHERS = (
    "h5py",
    "scipy",
    "rich",
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


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """The versions of Python and of those packages that are installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def facts() -> dict[str, str]:
    """What belongs into a bug report and is known without Keras, by name."""
    machine = f"{platform.platform()}, {platform.machine()}"
    chosen = {
        name: os.environ[name] for name in VARIABLES if name in os.environ
    }
    return (
        versions(PACKAGES + OTHERS)
        | {"machine": f"{machine}, {os.cpu_count()} cores"}
        | chosen
    )


def show(rows: Iterable[tuple[str, str]]) -> None:
    """Print names and values, one a line."""
    width = max(map(len, VARIABLES))
    for name, value in rows:
        print(f"{name:{width}}  {value}")


def import_keras() -> None:
    """Import Keras, or say which backend to choose.

    Where one of kseq's commands is to run, as `python -m kseq.convert`, Python
    imports the package before it: what the command would say of an error is
    said here.

    Raises:
        ModuleNotFoundError: the chosen backend is not installed.
        SystemExit: the same, or any other error, of a command.
    """
    try:
        _import_keras()
    except Exception as error:
        command = _command()
        if command is None:
            raise
        if command == "kseq":
            show(facts().items())
        if isinstance(error, (ModuleNotFoundError, ValueError)):
            print(f"error: {error}", file=sys.stderr)
        else:
            traceback.print_exc()
        raise SystemExit(2) from None


def _command() -> str | None:
    """The command of kseq's that Python looks for: its module's name."""
    if sys.argv[:1] != ["-m"]:  # it has found it, or there is none
        return None
    words = iter(sys.orig_argv)
    module = next(words, "") if "-m" in words else ""
    return module if module.partition(".")[0] == "kseq" else None


def _import_keras() -> None:
    try:
        importlib.import_module("keras")
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in BACKENDS:
            raise
        chosen = os.environ.get("KERAS_BACKEND")
        others = [name for name in BACKENDS if is_there(name)]
        raise ModuleNotFoundError(
            f"Keras wants {missing}, which is not installed. KERAS_BACKEND "
            f"is {f'{chosen!r}' if chosen else 'not set'}; it must name a "
            "backend that is installed before the first `import keras`: "
            f"{', '.join(others) or 'none is; install one'}",
            name=missing,
        ) from None  # forty lines of Keras would hide it


def is_there(module: str) -> bool:
    """Whether a module of this name could be imported."""
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:  # it is blocked, or half imported
        return False
