"""A small model and functions that change its `.keras` file."""

import json
import zipfile

import keras

from kseq.layers.sequence import AttentionSequencePoolingLayer


def make_model(activation="dice"):
    query, keys = keras.Input((1, 3)), keras.Input((5, 3))
    lengths = keras.Input((1,), dtype="int32")
    layer = AttentionSequencePoolingLayer((4, 2), activation, name="attention")
    y = keras.layers.Dense(2)(layer([query, keys, lengths]))
    return keras.Model([query, keys, lengths], y)


def read(path):
    """Return the members of a `.keras` file; the config is parsed."""
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    return {**members, "config.json": json.loads(members["config.json"])}


def write(path, members):
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            if not isinstance(content, bytes):
                content = json.dumps(content)
            file.writestr(name, content)


def layer_entry(members):
    """Return the attention layer's entry in the config, to be modified."""
    layers = members["config.json"]["config"]["layers"]
    return next(x for x in layers if x["config"]["name"] == "attention")
