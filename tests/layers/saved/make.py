"""Saves the model of all examples, and what it predicts, on this backend.

Made anew when a layer joins `tests.layers.examples`, on each of tensorflow,
torch and jax:

    KERAS_BACKEND=jax python -m tests.layers.saved.make
"""

import zipfile
from pathlib import Path

import keras
import numpy as np

from kseq.agreement.numbers import seed_weights
from kseq.layers.sequence import BiasEncoding
from tests.layers.examples import everything, model_inputs, predict

SAVED = Path(__file__).parents[2] / "data" / "saved"


def main():
    SAVED.mkdir(exist_ok=True)
    path = SAVED / keras.backend.backend()
    model = model_to_save()
    inputs = {
        f"input {symbol.name}": x
        for symbol, x in zip(model.inputs, model_inputs(model), strict=True)
    }
    outputs = {f"output {n}": x for n, x in predict(model).items()}
    model.save(path.with_suffix(".keras"))
    compress(path.with_suffix(".keras"))
    np.savez_compressed(path.with_suffix(".npz"), **inputs, **outputs)


def model_to_save():
    """The model of all examples, and BiasEncoding, which takes a list."""
    model = everything()
    (x,) = (symbol for symbol in model.inputs if symbol.name == "x")
    sessions = BiasEncoding(2, max_steps=8, name="bias-encoding_layer")([x, x])
    joined = keras.layers.Concatenate(axis=1)(sessions)
    outputs = {**model.output, "bias-encoding": joined}
    model = keras.Model(model.inputs, outputs)
    seed_weights(model)
    return model


def compress(path):
    """Keras stores 140 kB; a tenth holds the same."""
    with zipfile.ZipFile(path) as stored:
        parts = {info: stored.read(info) for info in stored.infolist()}
    with zipfile.ZipFile(path, "w") as compressed:
        for info, content in parts.items():
            compressed.writestr(info, content, zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    main()
