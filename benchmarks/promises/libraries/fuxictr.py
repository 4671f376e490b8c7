"""FuxiCTR's LongCTR models, whose histories come with a mask."""

import tempfile
from importlib.metadata import version

import torch
from fuxictr.features import FeatureMap
from model_zoo.LongCTR.DIEN.DIEN import DIEN
from model_zoo.LongCTR.DIN.DIN import DIN

from benchmarks.promises.libraries import DIM, ITEMS, UNITS, USERS, Model

PACKAGE = "fuxictr"
VERSION = version(PACKAGE)
MODELS = ("DIN", "DIEN")
# The default of its LongCTRDataLoader.
VARIANTS = {"DIEN, padding before": {"padding": "pre"}}
OPTIONS = {
    "embedding_dim": DIM,
    "dnn_hidden_units": UNITS,
    "attention_hidden_units": UNITS,
    "optimizer": "adam",
    "loss": "binary_crossentropy",
    "task": "binary_classification",
    "metrics": ["AUC"],
    "monitor": "AUC",
    "verbose": 0,
    "model_root": tempfile.gettempdir(),
}


def make(kind, softmax=False, padding="post"):
    features = FeatureMap("promises", tempfile.gettempdir())
    features.features = {
        name: {
            "type": "categorical",
            "source": name,
            "vocab_size": size,
            "padding_idx": 0,
        }
        for name, size in (("user", USERS), ("item", ITEMS))
    }
    features.labels, features.num_fields = ["click"], 2
    features.default_emb_dim = DIM
    if kind == "DIN":
        model = DIN(features, din_use_softmax=softmax, **OPTIONS)
    else:
        model = DIEN(features, batch_norm=False, **OPTIONS)

    def run(x):
        history = x["history"]
        if padding == "pre":
            steps, lengths = history.shape[1], (history > 0).sum(1)
            shift = torch.arange(steps) - (steps - lengths)[:, None]
            history = history.gather(1, shift % steps)
        items = torch.cat([history, x["item"][:, None]], 1).flatten()
        mask = (history > 0).float()
        batch = {"user": x["user"]}, {"item": items}, mask
        return model(batch)["y_pred"][:, 0], None

    return Model(model, run)
