"""A small model and functions that change its `.keras` file."""

import io
import json
import zipfile

import keras
import numpy as np

from kseq.agreement.numbers import seed_weights
from kseq.layers.sequence import AttentionSequencePoolingLayer
from tests.arrays import to_numpy

rng = np.random.default_rng(0)
INPUTS = [
    rng.normal(size=(2, 1, 3)).astype("float32"),
    rng.normal(size=(2, 5, 3)).astype("float32"),
    np.array([[5], [2]], "int32"),
]


def make_model(seed=0, units=4, activation="dice"):
    query, keys = keras.Input((1, 3)), keras.Input((5, 3))
    lengths = keras.Input((1,), dtype="int32")
    pooled = AttentionSequencePoolingLayer(
        (units, 2), activation, name="attention"
    )([query, keys, lengths])
    y = keras.layers.Dense(2, name="dense")(pooled)
    model = keras.Model([query, keys, lengths], y)
    seed_weights(model, seed)
    return model


def outputs(model):
    return to_numpy(model(INPUTS))


def read(path):
    """Return the members of a `.keras` file; the config is parsed."""
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    return {**members, "config.json": json.loads(members["config.json"])}


def write(path, members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            if not isinstance(content, bytes):
                content = json.dumps(content)
            file.writestr(name, content)
    path.write_bytes(buffer.getvalue())


def layer_entry(members):
    """Return the attention layer's entry in the config, to be modified."""
    layers = members["config.json"]["config"]["layers"]
    return next(x for x in layers if x["config"]["name"] == "attention")
