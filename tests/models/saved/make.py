"""Saves models and their predictions, on one backend.

When a model changes, run this on each of tensorflow, torch and jax:

    KERAS_BACKEND=jax python -m tests.models.saved.make
"""

from pathlib import Path

import keras
import numpy as np

from kseq.agreement.numbers import seed_weights
from tests.layers.saved.make import compress
from tests.models.examples import BY_NAME, CLICKS, inputs_of, predict

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


def train(model):
    """Two steps of training."""
    model.fit(
        inputs_of(model), CLICKS, epochs=2, batch_size=len(CLICKS), verbose=0
    )


def save(model, name):
    model.save(SAVED / f"{name}.keras")
    compress(SAVED / f"{name}.keras")


def main():
    SAVED.mkdir(exist_ok=True)
    backend = keras.backend.backend()
    model = model_to_save()
    save(model, backend)
    found = {**inputs_of(model), "output": predict(model)}
    trained = BY_NAME["DIN"].make()
    trained.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
    train(trained)
    save(trained, f"{backend}_trained")
    found["trained"] = predict(trained)
    train(trained)
    found["trained_further"] = predict(trained)
    np.savez_compressed(SAVED / f"{backend}.npz", **found)


if __name__ == "__main__":
    main()
