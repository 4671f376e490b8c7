"""The models of the tests, with what they are given.

Histories are full, short, of one step and empty. A padded step has id 0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from kseq.agreement.numbers import seed_weights
from kseq.feature_column import DenseFeat, SparseFeat, VarLenSparseFeat
from kseq.models import BST, DIEN, DIN, DSIN
from tests.arrays import to_numpy

BATCH, STEPS, SESSIONS = 5, 4, 2
LENGTHS = np.array([4, 3, 2, 1, 0])
SESSION_LENGTHS = np.array([[4, 2], [2, 3], [3, 0], [2, 0], [0, 0]])
SIZES = {"user": 6, "item": 12, "cate": 5, "tags": 7}
DIMS = {"user": 3, "item": 5, "cate": 3, "tags": 2}
CANDIDATE = ["item", "cate"]

USER = SparseFeat("user", SIZES["user"], DIMS["user"])
ITEM = SparseFeat("item", SIZES["item"], DIMS["item"])
CATE = SparseFeat("cate", SIZES["cate"], DIMS["cate"])
PRICE = DenseFeat("price", 2, transform_fn=lambda x: (x - 1.0) / 2.0)
ONE_OF_EACH = [USER, ITEM, CATE, PRICE]


def over_time(prefix, steps=STEPS, **options):
    """The candidate's features as sequences."""
    return [
        VarLenSparseFeat(
            SparseFeat(
                prefix + name, SIZES[name], DIMS[name], embedding_name=name
            ),
            steps,
            **options,
        )
        for name in CANDIDATE
    ]


def tags(**options):
    """A sequence that is no history."""
    sparse = SparseFeat("tags", SIZES["tags"], DIMS["tags"])
    return VarLenSparseFeat(sparse, 3, **options)


def columns(*prefixes, steps=STEPS):
    """The columns of a model of histories."""
    histories = [
        column
        for prefix in prefixes or ("hist_",)
        for column in over_time(prefix, steps, length_name="seq_length")
    ]
    return [*ONE_OF_EACH, *histories, tags()]


def session_columns(steps=STEPS):
    prefixes = [f"sess_{i}_" for i in range(SESSIONS)]
    sessions = [c for prefix in prefixes for c in over_time(prefix, steps)]
    return [*ONE_OF_EACH, *sessions]


def ids(name, lengths, steps):
    """Ids other than 0, and then zeros."""
    seed = list(name.encode())
    drawn = np.random.default_rng(seed).integers(
        1, SIZES[name.rpartition("_")[2]], size=(len(lengths), steps)
    )
    return np.where(np.arange(steps) < lengths[:, None], drawn, 0)


def arrays(steps=STEPS):
    """What any of the models is given, by name."""
    draw = np.random.default_rng(0)
    found = {
        "user": draw.integers(SIZES["user"], size=BATCH),
        "price": draw.normal(size=(BATCH, 2)).astype("float32"),
        "tags": ids("tags", np.array([3, 2, 1, 0, 3]), 3),
        "seq_length": LENGTHS,
        "sess_length": (SESSION_LENGTHS > 0).sum(axis=1),
    }
    for name in CANDIDATE:
        found[name] = ids(name, np.ones(BATCH), 1)[:, 0]
        for prefix in ("hist_", "neg_hist_"):
            found[prefix + name] = ids(prefix + name, LENGTHS, STEPS)
        for i in range(SESSIONS):
            key = f"sess_{i}_{name}"
            found[key] = ids(key, SESSION_LENGTHS[:, i], STEPS)
    for key, x in found.items():
        if key.startswith(("hist_", "neg_hist_", "sess_")) and x.ndim == 2:
            found[key] = np.pad(x, ((0, 0), (0, steps - STEPS)))
    return found


@dataclass(frozen=True)
class Example:
    """A model.

    Args:
        name: for test ids.
        build: makes the model, of columns and further arguments.
        columns: the columns, of the number of steps.
        features: the candidate's.
        max_steps: whether unknown steps need an upper bound.
        options: arguments of the model beside those of `SMALL`.
    """

    name: str
    build: Callable[..., Any]
    columns: Callable[..., Any] = columns
    max_steps: bool = False
    options: tuple[tuple[str, Any], ...] = ()

    def make(self, steps=STEPS, **options):
        """The model with weights that are the same on every backend."""
        # No ReLU, which might be dead for so few examples.
        chosen = {"dnn_hidden_units": (4, 3), "dnn_activation": "tanh"}
        chosen |= {**dict(self.options), **options}
        model = self.build(self.columns(steps=steps), CANDIDATE, **chosen)
        seed_weights(model)
        return model

    def unknown_steps(self, **options):
        """The model of histories of any number of steps."""
        if self.max_steps:
            options["max_steps"] = 9
        return self.make(None, **options)


def dien(gru_type, *prefixes, **options):
    return Example(
        f"DIEN-{gru_type}{'-negatives' * (len(prefixes) > 1)}",
        DIEN,
        lambda steps=STEPS: columns(*prefixes, steps=steps),
        options=(
            ("gru_type", gru_type),
            ("att_hidden_units", (4, 2)),
            *options.items(),
        ),
    )


EXAMPLES = [
    Example("DIN", DIN, options=(("att_hidden_size", (4, 2)),)),
    dien("GRU"),
    dien("AIGRU"),
    dien("AGRU"),
    dien("AUGRU", "hist_", "neg_hist_", use_negsampling=True),
    Example(
        "DSIN",
        DSIN,
        session_columns,
        True,
        (("sess_max_count", SESSIONS), ("mask_padding", True)),
    ),
    Example(
        "DSIN-bias",
        DSIN,
        session_columns,
        True,
        (
            ("sess_max_count", SESSIONS),
            ("bias_encoding", True),
            ("att_head_num", 4),
            ("att_embedding_size", 2),
        ),
    ),
    Example("BST", BST, max_steps=True),
]
BY_NAME = {example.name: example for example in EXAMPLES}


def names(examples):
    """Test ids."""
    return [example.name for example in examples]


def inputs_of(model, given=None):
    """Those of the arrays that a model takes."""
    given = given or arrays()
    return {symbol.name: given[symbol.name] for symbol in model.inputs}


def predict(model, given=None):
    """What a call gives: compiling every model of the tests costs minutes."""
    inputs = inputs_of(model, given)
    inputs = {name: ops.convert_to_tensor(x) for name, x in inputs.items()}
    return to_numpy(model(inputs))
