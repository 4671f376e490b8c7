"""PyTorch: eager, or captured by torch.compile."""

import contextlib
from typing import Any

import keras
import torch

from kseq.agreement.reference import flatten


def float64() -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


def device() -> str:
    return "gpu" if torch.cuda.is_available() else "cpu"


def devices() -> list[str]:
    cuda = range(torch.cuda.device_count())
    return ["cpu", *(torch.cuda.get_device_name(i) for i in cuda)]


def forward(
    layer: Any, inputs: Any, kwargs: dict[str, Any], compiled: bool
) -> list[Any]:
    function = _maybe_compiled(layer, compiled)
    with torch.no_grad():
        return flatten(function(inputs, **kwargs))


def gradients(
    layer: Any,
    inputs: Any,
    kwargs: dict[str, Any],
    cotangents: list[Any],
    compiled: bool,
) -> tuple[list[Any], list[Any]]:
    features = [x for x in keras.tree.flatten(inputs) if x.is_floating_point()]
    for x in features:
        x.requires_grad_(True)
    weights = [w.value for w in getattr(layer, "weights", []) if w.trainable]
    outputs = flatten(_maybe_compiled(layer, compiled)(inputs, **kwargs))
    # PyTorch raises an error for a constant output, such as a mask.
    differentiable = [
        i for i, output in enumerate(outputs) if output.requires_grad
    ]
    gradients = torch.autograd.grad(
        [outputs[i] for i in differentiable],
        [*features, *weights],
        [cotangents[i] for i in differentiable],
        allow_unused=True,
        materialize_grads=True,
    )
    return list(gradients[: len(features)]), list(gradients[len(features) :])


def _maybe_compiled(function: Any, compiled: bool) -> Any:
    if not compiled:
        return function
    # Its cache is global to the process, and many cases would exceed its limit.
    torch.compiler.reset()
    # Not inductor, which needs a C++ compiler and seconds for each graph.
    return torch.compile(function, backend="aot_eager")
