"""NumPy and OpenVINO: the forward pass only."""

import contextlib
from typing import Any, NoReturn

import keras


def float64() -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


def device() -> str:
    return "cpu"


def devices() -> list[str]:
    return ["cpu"]


def forward(function: Any, args: Any, kwargs: Any, compiled: bool) -> Any:
    if compiled:
        raise NotImplementedError(f"no compiler on {keras.backend.backend()}")
    return function(*args, **kwargs)


def gradients(
    function: Any, args: Any, kwargs: Any, cotangents: Any, compiled: bool
) -> NoReturn:
    raise NotImplementedError(f"no gradients on {keras.backend.backend()}")


def narrowed(function: Any, args: Any, kwargs: Any) -> list[str]:
    return []
