"""Saves a model of all examples, and what it predicts, on this backend.

Made anew when a model changes, on each of tensorflow, torch and jax:

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
    """The four models as one, side by side in the order of `NAMES`."""
    models = [BY_NAME[name].make() for name in NAMES]
    inputs = {}
    for model in models:
        for symbol in model.inputs:
            inputs.setdefault(
                symbol.name,
                keras.Input(
                    symbol.shape[1:], dtype=symbol.dtype, name=symbol.name
                ),
            )
    outputs = [
        model([inputs[s.name] for s in model.inputs]) for model in models
    ]
    together = keras.layers.Concatenate(name="together")(outputs)
    model = keras.Model(list(inputs.values()), together)
    seed_weights(model)
    return model


def main():
    SAVED.mkdir(exist_ok=True)
    path = SAVED / keras.backend.backend()
    model = model_to_save()
    model.save(path.with_suffix(".keras"))
    compress(path.with_suffix(".keras"))
    np.savez_compressed(
        path.with_suffix(".npz"), **inputs_of(model), output=predict(model)
    )


if __name__ == "__main__":
    main()
