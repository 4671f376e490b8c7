"""Save a model of all layers and its predictions on this backend.

Run it on each of tensorflow, torch and jax when the catalog gets a layer:

    KERAS_BACKEND=jax python -m tests.layers.saved.make
"""

import zipfile
from pathlib import Path

import keras
import numpy as np

from tests.layers.models import everything, inputs_of, predict, trials

SAVED = Path(__file__).parents[2] / "data" / "saved"


def main():
    SAVED.mkdir(exist_ok=True)
    path = SAVED / keras.backend.backend()
    model, arrays = everything(), inputs_of(trials())
    inputs = {
        f"input {symbol.name}": x
        for symbol, x in zip(model.inputs, arrays, strict=True)
    }
    outputs = {f"output {n}": x for n, x in predict(model, arrays).items()}
    model.save(path.with_suffix(".keras"))
    compress(path.with_suffix(".keras"))
    np.savez_compressed(path.with_suffix(".npz"), **inputs, **outputs)


def compress(path):
    """Compress the file, of which Keras stores 140 kB, to a tenth."""
    with zipfile.ZipFile(path) as stored:
        parts = {info: stored.read(info) for info in stored.infolist()}
    with zipfile.ZipFile(path, "w") as compressed:
        for info, content in parts.items():
            compressed.writestr(info, content, zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    main()
