"""Which packages are installed, found without importing them."""

import importlib.metadata
import importlib.util
import platform
from collections.abc import Sequence

BACKENDS = ("tensorflow", "torch", "jax", "openvino")
# `tensorflow-cpu` is a distribution of its own.
PACKAGES = ("kseq", "keras", "numpy", "tensorflow-cpu", *BACKENDS)


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Return the versions of Python and of the packages that are installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def is_installed(module: str) -> bool:
    """Return whether a top-level module can be found."""
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:  # `sys.modules[module]` has no spec
        return False
