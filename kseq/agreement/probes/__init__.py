"""Backend-specific computations, chosen by the current Keras backend.

Each module of this package implements the five functions below. `layer` is a
built layer, or a function of tensors, which has no weights.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import import_module
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
# `forward(layer, inputs, kwargs, compiled)` returns a flat list of outputs.
forward: Callable[..., list[Any]] = _module.forward
# `gradients(layer, inputs, kwargs, cotangents, compiled)` returns the gradients
# of `sum(outputs * cotangents)` with respect to floating-point inputs and
# trainable weights; they are zero where the sum does not depend on one.
gradients: Callable[..., tuple[list[Any], list[Any]]] = _module.gradients
