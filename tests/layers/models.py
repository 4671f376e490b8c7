"""Functional models of many layers at once, which compile once."""

import keras
import numpy as np
from keras import ops

from kseq.agreement.numbers import seed_weights
from tests.layers.catalog import MAIN
from tests.layers.trial import predict as predict_tensors
from tests.support import to_numpy


def trials(examples=MAIN):
    return {e.name: e.trial() for e in examples}


def everything(
    examples=MAIN, steps=None, changed=lambda trial: trial, named=False
):
    """A model of many layers, whose outputs have the examples' names."""
    symbols, outputs = [], {}
    for example in examples:
        name = example.name
        trial = changed(example.trial())
        model = trial.model(
            lambda t=trial, n=name: t.make(name=f"{n}_layer"),
            name,
            steps,
            named,
        )
        symbols += model.inputs
        outputs |= {
            f"{name}-{i}": output for i, output in enumerate(model.outputs)
        }
    model = keras.Model(symbols, outputs)
    for layer in model.layers:  # as `Trial.built` does
        seed_weights(layer)
    return model


def inputs_of(trials):
    return [x for t in trials.values() for x in t.model_inputs().values()]


def predict(model, inputs):
    """Outputs by name, in float32 or wider."""
    outputs = predict_tensors(model, inputs)
    return {name: wide(output) for name, output in outputs.items()}


def wide(output):
    """As NumPy's floats, which lack bfloat16."""
    double = keras.backend.standardize_dtype(output.dtype) == "float64"
    return to_numpy(ops.cast(output, "float64" if double else "float32"))


def squared_error(target, output):
    return ops.mean(ops.square(output - target))


def losses(model, batches, jit_compile="auto"):
    """The losses by output of a training step for each list of inputs."""
    model.compile(
        keras.optimizers.SGD(0.01),
        loss=dict.fromkeys(model.output, squared_error),
        jit_compile=jit_compile,
    )
    found = []
    for inputs in batches:
        batch = len(inputs[0])
        targets = {  # which are broadcast
            name: np.full((batch, *[1] * (len(y.shape) - 1)), 0.5, "float32")
            for name, y in model.output.items()
        }
        found.append(model.train_on_batch(inputs, targets, return_dict=True))
    return found
