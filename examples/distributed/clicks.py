"""Generated clicks and DIN, shared by the scripts of this folder."""

import argparse

import keras
import numpy as np

from kseq.feature_column import SparseFeat, VarLenSparseFeat
from kseq.models import DIN

ITEMS, KINDS, STEPS, DIM = 20_000, 8, 12, 16


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=16_384)
    parser.add_argument(
        "--batch", type=int, default=256, help="across all devices"
    )
    parser.add_argument("--epochs", type=int, default=3)
    return parser.parse_args()


def make_clicks(samples: int, seed: int = 0):
    """Return ids by feature, and clicks on kinds that the history contains."""
    draw = np.random.default_rng(seed)
    history = draw.integers(1, ITEMS, (samples, STEPS))
    history[np.arange(STEPS) >= draw.integers(STEPS + 1, size=(samples, 1))] = 0
    item = draw.integers(1, ITEMS, (samples, 1))
    same_kind = (history > 0) & (history % KINDS == item % KINDS)
    x = {"item": item, "kind": item % KINDS + 1}
    x["hist_item"] = history
    x["hist_kind"] = np.where(history > 0, history % KINDS + 1, 0)
    clicks = same_kind.any(axis=1, keepdims=True).astype("float32")
    return {name: ids.astype("int32") for name, ids in x.items()}, clicks


def make_model() -> keras.Model:
    """Return a compiled DIN with the same starting weights in each process.

    The default activation, "dice", would compute its statistics per device.
    """
    columns = []
    for name, size in (("item", ITEMS), ("kind", KINDS + 1)):
        clicked = SparseFeat(f"hist_{name}", size, DIM, embedding_name=name)
        columns += [
            SparseFeat(name, size, DIM),
            VarLenSparseFeat(clicked, STEPS),
        ]
    keras.utils.set_random_seed(0)
    model = DIN(columns, ["item", "kind"], att_activation="sigmoid")
    model.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy")
    return model
