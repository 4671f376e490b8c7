"""Small models and their inputs.

Histories are full, partly padded, of one step, and empty. Padding has id 0.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from keras import ops

from kseq.agreement.numbers import seed_weights
from kseq.feature_column import DenseFeat, SparseFeat, VarLenSparseFeat
from kseq.models import BST, DIEN, DIN, DSIN
from tests.support import to_numpy

BATCH, STEPS, SESSIONS = 5, 4, 2
LENGTHS = np.array([4, 3, 2, 1, 0])
SESSION_LENGTHS = np.array([[4, 2], [2, 3], [3, 0], [2, 0], [0, 0]])
SIZES = {"user": 6, "item": 12, "cate": 5, "tags": 7}
DIMS = {"user": 3, "item": 5, "cate": 3, "tags": 2}
CANDIDATE = ["item", "cate"]
CLICKS = np.arange(BATCH) % 2
HISTORY_PREFIXES = ("hist_", "neg_hist_")
SESSION_PREFIXES = ("sess_0_", "sess_1_")

USER = SparseFeat("user", SIZES["user"], DIMS["user"])
ITEM = SparseFeat("item", SIZES["item"], DIMS["item"])
CATE = SparseFeat("cate", SIZES["cate"], DIMS["cate"])
PRICE = DenseFeat("price", 2, transform_fn=lambda x: (x - 1.0) / 2.0)
USER_AND_CANDIDATE = [USER, ITEM, CATE, PRICE]


def sequences(prefix, steps=STEPS, **options):
    """The candidate's features as sequences."""
    ids = [
        SparseFeat(prefix + name, SIZES[name], DIMS[name], embedding_name=name)
        for name in CANDIDATE
    ]
    return [VarLenSparseFeat(sparse, steps, **options) for sparse in ids]


def tags(**options):
    """A sequence that is not a history."""
    sparse = SparseFeat("tags", SIZES["tags"], DIMS["tags"])
    return VarLenSparseFeat(sparse, 3, **options)


def columns(*prefixes, steps=STEPS):
    """The columns of a model that reads histories or sessions."""
    prefixes = prefixes or ("hist_",)
    found = [*USER_AND_CANDIDATE]
    for prefix in prefixes:
        found += sequences(prefix, steps, length_name="seq_length")
    return found if prefixes == SESSION_PREFIXES else [*found, tags()]


def padded_ids(name, lengths, steps):
    """Random ids above 0, followed by zeros."""
    seed = list(name.encode())
    ids = np.random.default_rng(seed).integers(
        1, SIZES[name.rpartition("_")[2]], size=(len(lengths), steps)
    )
    return np.where(np.arange(steps) < lengths[:, None], ids, 0)


def arrays(steps=STEPS):
    """The inputs of all models by name."""
    draw = np.random.default_rng(0)
    found = {
        "user": draw.integers(SIZES["user"], size=BATCH),
        "price": draw.normal(size=(BATCH, 2)).astype("float32"),
        "tags": padded_ids("tags", np.array([3, 2, 1, 0, 3]), 3),
        "seq_length": LENGTHS,
        "sess_length": (SESSION_LENGTHS > 0).sum(axis=1),
    }
    lengths = dict.fromkeys(HISTORY_PREFIXES, LENGTHS)
    lengths |= zip(SESSION_PREFIXES, SESSION_LENGTHS.T, strict=True)
    for name in CANDIDATE:
        found[name] = padded_ids(name, np.ones(BATCH), 1)[:, 0]
        for prefix in lengths:
            ids = padded_ids(prefix + name, lengths[prefix], STEPS)
            found[prefix + name] = np.pad(ids, ((0, 0), (0, steps - STEPS)))
    return found


@dataclass(frozen=True, eq=False)
class Example:
    """A model: a function of `kseq.models` and its arguments."""

    name: str
    build: Callable[..., Any]
    options: dict[str, Any] = field(default_factory=dict)
    prefixes: tuple[str, ...] = ("hist_",)

    def make(self, steps=STEPS, **options):
        """The model, with the same weights on every backend."""
        # No ReLU: with so few examples all its outputs might be 0.
        defaults = {"dnn_hidden_units": (4, 3), "dnn_activation": "tanh"}
        options = {**defaults, **self.options, **options}
        given = columns(*self.prefixes, steps=steps)
        model = self.build(given, CANDIDATE, **options)
        if options.get("seed") is None:
            seed_weights(model)
        return model

    def unknown_steps(self, **options):
        """The model for histories of any number of steps."""
        if self.build in (BST, DSIN):
            options["max_steps"] = 9
        return self.make(None, **options)


def dien(gru_type, **options):
    return {"gru_type": gru_type, "att_hidden_units": (4, 2), **options}


NEGATIVES = dien("AUGRU", use_negsampling=True)
TWO = {"sess_max_count": SESSIONS}
BIAS = {"bias_encoding": True, "att_head_num": 4, "att_embedding_size": 2}
EXAMPLES = [
    Example("DIN", DIN, {"att_hidden_size": (4, 2)}),
    *[Example(f"DIEN-{t}", DIEN, dien(t)) for t in ("GRU", "AIGRU", "AGRU")],
    Example("DIEN-AUGRU-negatives", DIEN, NEGATIVES, HISTORY_PREFIXES),
    Example("DSIN", DSIN, TWO | {"mask_padding": True}, SESSION_PREFIXES),
    Example("DSIN-bias", DSIN, TWO | BIAS, SESSION_PREFIXES),
    Example("BST", BST),
]
BY_NAME = {example.name: example for example in EXAMPLES}


def make(build, *others, **options):
    """A model of the candidate and of other columns."""
    model = build([ITEM, CATE, *others], CANDIDATE, **options)
    seed_weights(model)
    return model


def inputs_of(model, features=None):
    """The arrays that are inputs of a model."""
    features = features or arrays()
    return {symbol.name: features[symbol.name] for symbol in model.inputs}


def predict(model, features=None):
    """Call a model eagerly: compiling it for `predict` would be slow."""
    inputs = inputs_of(model, features)
    inputs = {name: ops.convert_to_tensor(x) for name, x in inputs.items()}
    return to_numpy(model(inputs))
