"""What all three scripts train on: generated clicks and DIN."""

import argparse

import keras
import numpy as np

from kseq.feature_column import SparseFeat, VarLenSparseFeat
from kseq.models import DIN

ITEMS, KINDS, STEPS, DIM = 20_000, 8, 12, 16


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=16_384)
    parser.add_argument("--batch", type=int, default=256, help="of all devices")
    parser.add_argument("--epochs", type=int, default=3)
    return parser.parse_args()


def make_clicks(samples: int, seed: int = 0):
    """A dict of ids, and 1 where the candidate is of a kind with a click."""
    draw = np.random.default_rng(seed)
    history = draw.integers(1, ITEMS, (samples, STEPS))
    history[np.arange(STEPS) >= draw.integers(STEPS + 1, size=(samples, 1))] = 0
    item = draw.integers(1, ITEMS, (samples, 1))
    alike = (history > 0) & (history % KINDS == item % KINDS)
    x = {"item": item, "kind": item % KINDS + 1}
    x["hist_item"] = history
    x["hist_kind"] = np.where(history > 0, history % KINDS + 1, 0)
    clicks = alike.any(axis=1, keepdims=True).astype("float32")
    return {name: ids.astype("int32") for name, ids in x.items()}, clicks


def make_model() -> keras.Model:
    """DIN, compiled, with the same start in each process.

    Not its default activation "dice": its statistics would be each device's.
    """
    columns = []
    for name, size in (("item", ITEMS), ("kind", KINDS + 1)):
        over_time = SparseFeat(f"hist_{name}", size, DIM, embedding_name=name)
        columns += [
            SparseFeat(name, size, DIM),
            VarLenSparseFeat(over_time, STEPS),
        ]
    keras.utils.set_random_seed(0)
    model = DIN(columns, ["item", "kind"], att_activation="sigmoid")
    model.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy")
    return model
