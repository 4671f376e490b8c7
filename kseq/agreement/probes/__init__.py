"""Backend-specific computations, chosen by the current Keras backend.

Each module of this package implements the functions below. `function` is a
built layer, or a function of tensors; `args` and `kwargs` contain tensors.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from typing import Any

import keras

_backend = keras.backend.backend()
_trains = _backend in ("tensorflow", "torch", "jax")
_module = import_module(f"{__name__}.{_backend if _trains else 'inference'}")

# A context in which the backend computes in 64 bits.
float64: Callable[[], AbstractContextManager[None]] = _module.float64
# The default device, "cpu" or "gpu".
device: Callable[[], str] = _module.device
# The names of all visible devices.
devices: Callable[[], list[str]] = _module.devices
# `forward(function, args, kwargs, compiled)` returns the outputs.
forward: Callable[..., Any] = _module.forward
# `gradients(function, args, kwargs, cotangents, compiled)` returns, for each
# cotangent that is not None, the gradients of `sum(output * cotangent)` with
# respect to floating-point arguments and trainable weights; None, or zero,
# where the output does not depend on one.
gradients: Callable[..., list[tuple[list[Any], list[Any]]]] = _module.gradients
# `narrowed(function, args, kwargs)` returns the functions of Keras that turn
# float64 into float32 in a forward pass.
narrowed: Callable[..., list[str]] = _module.narrowed


def float_tensors(tensors: Any) -> list[Any]:
    """Return the floating-point tensors of a structure."""
    return [
        x
        for x in keras.tree.flatten(tensors)
        if keras.ops.is_tensor(x) and is_float(x)
    ]


def is_float(x: Any) -> bool:
    dtype = keras.backend.standardize_dtype(x.dtype)
    return bool(keras.backend.is_float_dtype(dtype))


# Functions that others call, and wrappers.
_GENERAL = ("cast", "convert_to_tensor", "sparse_wrapper", "wrapper")


def keras_function(frames: Iterable[tuple[str, str]]) -> str:
    """Name the function of Keras that a stack of calls is in.

    Args:
        frames: file and function names, the innermost first.

    Returns:
        The name, or an empty string if the caller itself has cast a tensor.
    """
    package = Path(keras.__file__).parent
    found, inside = "", False
    for file, function in frames:
        path = Path(file)
        if not path.is_relative_to(package):
            if inside:  # the caller of Keras
                break
            continue
        inside = True
        function = function.rpartition(".")[2]
        if function in _GENERAL:
            continue
        if f"/backend/{_backend}/" in path.as_posix():
            found = function
        elif found:
            break
        else:
            return f"{path.stem}.{function}"
    return found
