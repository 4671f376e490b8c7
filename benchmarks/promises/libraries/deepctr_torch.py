"""DeepCTR-Torch, whose histories come with their lengths."""

from importlib.metadata import version

import torch
from deepctr_torch import models
from deepctr_torch.inputs import (
    SparseFeat,
    VarLenSparseFeat,
    build_input_features,
)

from benchmarks.promises.libraries import DIM, ITEMS, UNITS, USERS, Model

PACKAGE = "deepctr-torch"
VERSION = version(PACKAGE)
MODELS = ("DIN", "DIEN")


def make(kind, softmax=False):
    def columns(steps):
        found = [
            SparseFeat("user", USERS, embedding_dim=DIM),
            SparseFeat("item", ITEMS, embedding_dim=DIM),
        ]
        for prefix in ["hist_", "neg_hist_"][: 1 + (kind == "DIEN")]:
            ids = SparseFeat(
                f"{prefix}item", ITEMS, embedding_dim=DIM, embedding_name="item"
            )
            found.append(
                VarLenSparseFeat(ids, maxlen=steps, length_name="lengths")
            )
        return found

    def build(steps):
        if kind == "DIN":
            return models.DIN(
                columns(steps),
                ["item"],
                dnn_hidden_units=UNITS,
                att_hidden_size=UNITS,
                att_weight_normalization=softmax,
            )
        return models.DIEN(
            columns(steps),
            ["item"],
            gru_type="AUGRU",
            use_negsampling=True,
            dnn_hidden_units=UNITS,
            att_hidden_units=UNITS,
        )

    model = build(1)

    def run(x):
        # Only the index of the inputs depends on the number of steps.
        steps = x["history"].shape[1]
        model.feature_index = build_input_features(columns(steps))
        history = x["history"]
        parts = [x["user"][:, None], x["item"][:, None], history]
        parts.append((history > 0).sum(1, keepdim=True))
        if kind == "DIEN":
            parts.append(x["negatives"])
        predictions = model(torch.cat(parts, 1).float())[:, 0]
        return predictions, model.aux_loss if kind == "DIEN" else None

    return Model(model, run)
