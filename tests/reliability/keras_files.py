"""A small saved model, and its file with something in it changed."""

import io
import json
import zipfile

import keras
import numpy as np

from kseq.agreement.numbers import seed_weights
from kseq.layers.sequence import AttentionSequencePoolingLayer
from tests.arrays import to_numpy

draw = np.random.default_rng(0).normal
INPUTS = [
    draw(size=(2, 1, 3)).astype("float32"),
    draw(size=(2, 5, 3)).astype("float32"),
    np.array([[5], [2]], "int32"),
]


def make_model(seed=0, units=4, activation="dice"):
    """DIN's attention and a layer of Keras."""
    query, keys = keras.Input((1, 3)), keras.Input((5, 3))
    lengths = keras.Input((1,), dtype="int32")
    pooled = AttentionSequencePoolingLayer(
        (units, 2), activation, name="attend"
    )([query, keys, lengths])
    y = keras.layers.Dense(2, name="dense")(pooled)
    model = keras.Model([query, keys, lengths], y)
    seed_weights(model, seed)
    return model


def outputs(model):
    return to_numpy(model(INPUTS))


def read(path):
    """The parts of a file, by name; the config as a table."""
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    return {**parts, "config.json": json.loads(parts["config.json"])}


def write(path, parts):
    """The file of these parts: bytes, or what becomes JSON."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        for name, part in parts.items():
            content = part if isinstance(part, bytes) else json.dumps(part)
            file.writestr(name, content)
    path.write_bytes(made.getvalue())


def layer(parts, name="attend"):
    """A layer's part of the config, to be changed."""
    layers = parts["config.json"]["config"]["layers"]
    return next(x for x in layers if x["config"]["name"] == name)
