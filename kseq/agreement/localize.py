"""The outputs of each layer of a model."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from kseq.agreement.measure import named_outputs, to_numpy
from kseq.agreement.numbers import seed_weights


def layer_outputs(
    model: Any, inputs: Any, training: bool, seed: int
) -> dict[str, Any]:
    """Call a model; return each layer's inputs and outputs, in order."""
    seed_weights(model, seed)
    tensors = keras.tree.map_structure(
        lambda x: ops.convert_to_tensor(x) if isinstance(x, np.ndarray) else x,
        inputs,
    )
    found: dict[str, Any] = {}
    # A layer that is used twice is observed once.
    layers = list({id(x): x for x in _all_layers(model)}.values())[1:]

    def observe(i: int, layer: Any) -> Callable[[], None]:
        call = layer.call
        name = f"layer {i} {layer.name} ({type(layer).__name__})"

        def observed(*args: Any, **kwargs: Any) -> Any:
            outputs = call(*args, **kwargs)
            for what, x in (("input", (args, kwargs)), ("output", outputs)):
                tensors = [t for t in keras.tree.flatten(x) if ops.is_tensor(t)]
                for j, tensor in enumerate(tensors):
                    key = f"{name}, {what}"
                    found.setdefault(f"{key} {j}", to_numpy(tensor))
            return outputs

        object.__setattr__(layer, "call", observed)
        return lambda: object.__delattr__(layer, "call")

    restore = [observe(i, layer) for i, layer in enumerate(layers)]
    try:
        outputs = model(*tensors, training=training)
    finally:
        for undo in restore:
            undo()
    for name, x in named_outputs(outputs):
        found[f"the model's {name}"] = to_numpy(x)
    return found


def _all_layers(model: Any) -> Iterator[Any]:
    yield model
    for layer in getattr(model, "layers", []) or getattr(model, "_layers", []):
        yield from _all_layers(layer)
