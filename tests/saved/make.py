"""Saves models and their predictions on this backend.

When the catalog gets a layer, or a model changes, run it on each of tensorflow,
torch and jax; "quantised" on one of them:

    KERAS_BACKEND=jax python -m tests.saved.make [layers] [models] [quantised]
"""

import gc
import sys
import warnings
import zipfile
from pathlib import Path

import keras
import numpy as np

from kseq.agreement.numbers import seed_weights
from tests.layers.models import everything, inputs_of, predict, trials
from tests.models import examples
from tests.models.examples import BY_NAME, CLICKS

DATA = Path(__file__).parents[1] / "data"
LAYERS, MODELS = DATA / "saved", DATA / "saved_models"
QUANTISED = MODELS / "din_int8.keras"
NAMES = ("DIN", "DIEN-AUGRU-negatives", "DSIN", "BST")
UNSUPPORTED = ".*(does not have a `quantize`|Invalid quantization mode)"


def save(model, path):
    """Save and compress the file, of which Keras stores 140 kB, to a tenth."""
    path.parent.mkdir(exist_ok=True)
    model.save(path)
    with zipfile.ZipFile(path) as stored:
        parts = {info: stored.read(info) for info in stored.infolist()}
    with zipfile.ZipFile(path, "w") as compressed:
        for info, content in parts.items():
            compressed.writestr(info, content, zipfile.ZIP_DEFLATED)


def save_layers(backend):
    model, arrays = everything(), inputs_of(trials())
    pairs = zip(model.inputs, arrays, strict=True)
    inputs = {f"input {symbol.name}": x for symbol, x in pairs}
    outputs = {f"output {n}": x for n, x in predict(model, arrays).items()}
    save(model, LAYERS / f"{backend}.keras")
    np.savez_compressed(LAYERS / f"{backend}.npz", **inputs, **outputs)


def models_in_one():
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
    inputs = examples.inputs_of(model)
    model.fit(inputs, CLICKS, epochs=2, batch_size=len(CLICKS), verbose=0)


def save_models(backend):
    model = models_in_one()
    save(model, MODELS / f"{backend}.keras")
    found = examples.inputs_of(model) | {"output": examples.predict(model)}
    trained = BY_NAME["DIN"].make()
    trained.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
    train(trained)
    save(trained, MODELS / f"{backend}_trained.keras")
    found["trained"] = examples.predict(trained)
    train(trained)
    found["trained_further"] = examples.predict(trained)
    np.savez_compressed(MODELS / f"{backend}.npz", **found)


def quantise(model, mode):
    """`model.quantize`, without warnings for the layers that it ignores."""
    # Keras looks for garbage after each layer that it quantises. Among all that
    # other tests have left behind that takes a second a layer.
    gc.collect()
    gc.freeze()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", UNSUPPORTED)
        model.quantize(mode)
    gc.unfreeze()


def save_quantised(backend):
    model = BY_NAME["DIN"].make()
    quantise(model, "int8")
    save(model, QUANTISED)
    found = examples.inputs_of(model) | {"output": examples.predict(model)}
    path = QUANTISED.with_suffix(".npz")
    np.savez_compressed(path, **found, made_by=keras.__version__)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        globals()[f"save_{name}"](keras.backend.backend())
