"""What is installed here; asked before any of it is imported."""

import importlib
import importlib.metadata
import importlib.util
import os
import platform

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


def versions() -> dict[str, str]:
    """The versions of Python and of those of `PACKAGES` that are installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def import_keras() -> None:
    """Import Keras, or say which backend to choose.

    Raises:
        ModuleNotFoundError: the chosen backend is not installed.
    """
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
