"""NumPy and OpenVINO: the forward pass only."""

import contextlib
from typing import Any, NoReturn

import keras

from kseq.agreement.reference import flatten


def float64() -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


def device() -> str:
    return "cpu"


def devices() -> list[str]:
    return ["cpu"]


def forward(
    layer: Any, inputs: Any, kwargs: dict[str, Any], compiled: bool
) -> list[Any]:
    if compiled:
        raise NotImplementedError(f"no compiler on {keras.backend.backend()}")
    return flatten(layer(inputs, **kwargs))


def gradients(
    layer: Any,
    inputs: Any,
    kwargs: dict[str, Any],
    cotangents: list[Any],
    compiled: bool,
) -> NoReturn:
    raise NotImplementedError(f"no gradients on {keras.backend.backend()}")
