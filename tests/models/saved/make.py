"""Saves a model of all examples and its predictions, on one backend.

When a model changes, run this on each of tensorflow, torch and jax:

    KERAS_BACKEND=jax python -m tests.models.saved.make
"""

from pathlib import Path

import keras
import numpy as np

from kseq.agreement.numbers import seed_weights
from tests.layers.saved.make import compress
from tests.models.examples import BY_NAME, inputs_of, predict

SAVED = Path(__file__).parents[2] / "data" / "saved_models"
NAMES = ("DIN", "DIEN-AUGRU-negatives", "DSIN", "BST")


def model_to_save():
    """One model that concatenates the outputs of those in `NAMES`."""
    models = [BY_NAME[name].make() for name in NAMES]
    inputs = {
        x.name: keras.Input(x.shape[1:], dtype=x.dtype, name=x.name)
        for model in models
        for x in model.inputs
    }
    outputs = [m([inputs[x.name] for x in m.inputs]) for m in models]
    together = keras.layers.Concatenate(name="together")(outputs)
    model = keras.Model([*inputs.values()], together)
    seed_weights(model)
    return model


def main():
    SAVED.mkdir(exist_ok=True)
    path = SAVED / keras.backend.backend()
    model = model_to_save()
    model.save(path.with_suffix(".keras"))
    compress(path.with_suffix(".keras"))
    arrays = inputs_of(model)
    np.savez_compressed(f"{path}.npz", **arrays, output=predict(model))


if __name__ == "__main__":
    main()
