"""Which features a model's DNN reads, in which order."""

from dataclasses import dataclass, field
from typing import Any

import keras

INTEREST = "interest"
Widths = dict[str, int]


@dataclass
class DnnInput:
    """The order of a model's features.

    Attributes:
        widths: the width of each feature in the DNN's input, in order; of the
            user's interest, INTEREST.
        candidate: the same for the candidate that histories are compared with.
        tables: the names of the inputs that each table is read with.
    """

    widths: Widths = field(default_factory=dict)
    candidate: Widths = field(default_factory=dict)
    tables: dict[str, list[str]] = field(default_factory=dict)


def dnn_input(model: keras.Model) -> DnnInput:
    """Follow each feature through a model of `kseq.models` to its DNN."""
    found = DnnInput()
    inputs = [
        keras.Input(batch_shape=x.shape, name=x.name, dtype=x.dtype)
        for x in model.inputs
    ]
    # By tensor, which is kept here so that its id stays its own.
    known = {id(x): (x, {x.name: x.shape[-1] or 1}) for x in inputs}

    def widths_of(x: Any) -> Widths:
        return known[id(x)][1] if id(x) in known else {}

    def follow(layer: Any, x: Any, outputs: Any) -> Widths:
        if isinstance(layer, keras.layers.Embedding):
            names = found.tables.setdefault(layer.name, [])
            names += [x.name] if x.name not in names else []
            return {x.name: layer.output_dim}
        if class_name(layer) == "AttentionSequencePoolingLayer":
            found.candidate = widths_of(x)
            return {INTEREST: outputs.shape[-1]}
        if class_name(layer) == "DynamicGRU":
            return {INTEREST: outputs.shape[-1]}
        if isinstance(x, list):
            return {n: w for each in x for n, w in widths_of(each).items()}
        widths = widths_of(x)
        if len(widths) == 1 and isinstance(outputs, keras.KerasTensor):
            # Such as a number's axis, and its `transform_fn`.
            return dict.fromkeys(widths, outputs.shape[-1])
        return widths

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = layer(*args, **kwargs)
        x = args[0]
        if class_name(layer) == "UserState":
            for name, output in outputs.items():
                known[id(output)] = (output, widths_of(x[name]))
            return outputs
        known[id(outputs)] = (outputs, follow(layer, x, outputs))
        if class_name(layer) == "JoinFeatures":
            found.widths = known[id(outputs)][1]
        return outputs

    keras.models.clone_model(
        model,
        input_tensors=inputs,
        clone_function=lambda layer: layer,
        call_function=call,
    )
    return found


def class_name(layer: Any) -> str:
    """The name of a layer's class; conversion imports no layers."""
    return type(layer).__name__
