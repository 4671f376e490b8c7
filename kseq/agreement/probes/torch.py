"""PyTorch: eager, or captured by torch.compile."""

import contextlib
import sys
import traceback
import warnings
from collections.abc import Iterator
from typing import Any

import keras
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from kseq.agreement import probes


def float64() -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


def device() -> str:
    return "gpu" if torch.cuda.is_available() else "cpu"


def devices() -> list[str]:
    cuda = range(torch.cuda.device_count())
    return ["cpu", *(torch.cuda.get_device_name(i) for i in cuda)]


def forward(function: Any, args: Any, kwargs: Any, compiled: bool) -> Any:
    function = _maybe_compiled(function, compiled)
    with torch.no_grad(), _no_hints():
        return function(*args, **kwargs)


def gradients(
    function: Any, args: Any, kwargs: Any, cotangents: Any, compiled: bool
) -> list[tuple[list[Any], list[Any]]]:
    features = probes.float_tensors((args, kwargs))
    for x in features:
        x.requires_grad_(True)
    layers = [function] if isinstance(function, keras.Layer) else []
    weights = [w.value for x in layers for w in x.weights if w.trainable]
    arguments = [*features, *weights]
    with _no_hints():
        outputs = _maybe_compiled(function, compiled)(*args, **kwargs)
    found = []
    for output, cotangent in zip(
        keras.tree.flatten(outputs), cotangents, strict=True
    ):
        if cotangent is None:
            continue
        gradients = [None] * len(arguments)
        # PyTorch raises an error for a constant output, such as a mask.
        if output.requires_grad:
            gradients = torch.autograd.grad(
                output,
                arguments,
                cotangent,
                retain_graph=True,
                allow_unused=True,
            )
        count = len(features)
        found.append((list(gradients[:count]), list(gradients[count:])))
    return found


def narrowed(function: Any, args: Any, kwargs: Any) -> list[str]:
    with torch.no_grad(), _Narrowing() as narrowing:
        function(*args, **kwargs)
    return sorted(narrowing.found)


class _Narrowing(TorchDispatchMode):
    """Collect Keras's functions that turn float64 into float32."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        output = function(*args, **(kwargs or {}))
        if _has_dtype(output, torch.float32) and _has_dtype(
            (args, kwargs), torch.float64
        ):
            self.found |= {_keras_function()} - {""}
        return output


def _has_dtype(tensors: Any, dtype: Any) -> bool:
    return any(
        isinstance(x, torch.Tensor) and x.dtype == dtype
        for x in keras.tree.flatten(tensors)
    )


def _keras_function() -> str:
    frames = traceback.walk_stack(sys._getframe())
    return probes.keras_function(
        (frame.f_code.co_filename, frame.f_code.co_name) for frame, _ in frames
    )


def _maybe_compiled(function: Any, compiled: bool) -> Any:
    if not compiled:
        return function
    # Its cache is global to the process, and many cases would exceed its limit.
    torch.compiler.reset()
    # Not inductor, which needs a C++ compiler and seconds for each graph.
    return torch.compile(function, backend="aot_eager")


@contextlib.contextmanager
def _no_hints() -> Iterator[None]:
    """Ignore hints of torch.compile about functions that it does not trace."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="torch._dynamo")
        yield
