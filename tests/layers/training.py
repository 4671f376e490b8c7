"""How the tests train a model of `everything`."""

import keras
import numpy as np
from keras import ops

from tests.layers.examples import model_inputs


def squared_error(target, output):
    return ops.mean(ops.square(output - target))


def losses(model, batches, jit_compile="auto", optimizer=None):
    """The losses by output's name of a step of training on each batch."""
    model.compile(
        optimizer or keras.optimizers.SGD(0.01),
        loss=dict.fromkeys(model.output, squared_error),
        jit_compile=jit_compile,
    )
    found = []
    for arrays in batches:
        inputs = model_inputs(model, arrays)
        batch, steps = arrays["x"].shape[:2]
        targets = {
            name: np.full(shape_of(output, batch, steps), 0.5, "float32")
            for name, output in model.output.items()
        }
        found.append(model.train_on_batch(inputs, targets, return_dict=True))
    return found


def shape_of(output, batch, steps):
    """An output's shape in numbers: after the batch only steps are unknown."""
    return (batch, *(steps if d is None else d for d in output.shape[1:]))
