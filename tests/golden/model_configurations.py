"""The recorded DeepCTR models: columns, arguments and inputs.

Histories have at least one step and sessions at least two, because DeepCTR's
results are undefined otherwise. Padding has id 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

BATCH, STEPS, SESSIONS = 6, 4, 3
LENGTHS = np.array([4, 3, 1, 2, 4, 1])
# Lengths of sequences without a length input: padding is masked.
TAG_LENGTHS = np.array([2, 1, 3, 3, 1, 2])
SESSION_COUNTS = np.array([3, 1, 2, 3, 2, 1])
VOCABULARY = {"user": 5, "item": 9, "cate": 6, "tag": 7, "shop": 8}


@dataclass(frozen=True)
class ModelConfiguration:
    """One model; `columns` and `arguments` can be written as JSON.

    A column is a dict of its class name, `column`, and its arguments.
    `models_before` models are made first in the same session, so that Keras
    adds counters to the names of layers.
    """

    name: str
    model: str
    columns: list[dict[str, Any]]
    arguments: dict[str, Any]
    optimizer: str = "sgd"
    models_before: int = 0


def sparse(name, dim=4, **options):
    return {
        "column": "SparseFeat",
        "name": name,
        "vocabulary_size": VOCABULARY[options.get("embedding_name", name)],
        "embedding_dim": dim,
        **options,
    }


def dense(name, dimension=1):
    return {"column": "DenseFeat", "name": name, "dimension": dimension}


def sequence(name, embedding, dim=4, hashed=None, **options):
    feature = sparse(name, dim, embedding_name=embedding, **(hashed or {}))
    column = {"column": "VarLenSparseFeat", "sparsefeat": feature}
    return {**column, "maxlen": STEPS, **options}


PROFILE = [sparse("user"), sparse("item"), sparse("cate"), dense("price")]
HISTORY = [
    sequence("hist_item", "item", length_name="seq_length"),
    sequence("hist_cate", "cate", length_name="seq_length"),
]
NEGATIVES = [
    sequence("neg_hist_item", "item", length_name="seq_length"),
    sequence("neg_hist_cate", "cate", length_name="seq_length"),
]
SESSION_FEATURES = [
    sequence(f"sess_{i}_{name}", name)
    for i in range(SESSIONS)
    for name in ("item", "cate")
]
# Other sequences: with and without weights, with a length input or masked.
OTHERS = [
    sequence("tag", "tag", 3, combiner="max"),
    sequence("shop", "shop", combiner="sum", length_name="shop_length"),
    sequence("liked_tag", "tag", 3, weight_name="tag_weight", combiner="mean"),
    sequence(
        *("liked_shop", "shop"),
        weight_name="shop_weight",
        weight_norm=False,
        combiner="sum",
        length_name="shop_length",
    ),
]
HASHED = {"use_hash": True, "dtype": "string"}
HASHED_COLUMNS = [
    sparse("user", use_hash=True),
    sparse("item", **HASHED),
    sequence("hist_item", "item", hashed=HASHED, length_name="seq_length"),
    sequence("tag", "tag", 3, hashed={"use_hash": True, "dtype": "int64"}),
]
# tanh, because a unit of ReLU can be 0 for all six rows.
SMALL = {"dnn_hidden_units": [8, 4], "dnn_activation": "tanh"}
HISTORY_NAMES = {"history_feature_list": ["item", "cate"]}
BASE = {
    "DIN": {**HISTORY_NAMES, "att_hidden_size": [6, 5], **SMALL},
    "DIEN": {**HISTORY_NAMES, "att_hidden_units": [6, 5], **SMALL},
    "BST": {**HISTORY_NAMES, **SMALL},
    "DSIN": {
        "sess_feature_list": ["item", "cate"],
        "sess_max_count": SESSIONS,
        **SMALL,
    },
}
SOFTMAX = {"att_activation": "sigmoid", "att_weight_normalization": True}
RAW = {"att_activation": "sigmoid", "att_weight_normalization": False}
WIDE = {
    **HISTORY_NAMES,
    "att_hidden_size": [6, 5],
    "dnn_hidden_units": [32, 16],
}


def row(name, columns=(), before=0, **arguments):
    """Return a model of the usual columns and of further ones."""
    model = name.split("_")[0].upper()
    profile = PROFILE + (SESSION_FEATURES if model == "DSIN" else HISTORY)
    arguments = BASE[model] | arguments
    columns = [*profile, *columns]
    return ModelConfiguration(name, model, columns, arguments, "sgd", before)


MODELS = [
    ModelConfiguration("din", "DIN", PROFILE + HISTORY, WIDE, "adam"),
    row("din_counters_bn", (), 2, dnn_use_bn=True, dnn_activation="dice"),
    row("din_sigmoid_softmax", **SOFTMAX, task="regression"),
    row("din_other_sequences", OTHERS),
    ModelConfiguration(
        "din_hash",
        "DIN",
        HASHED_COLUMNS,
        {**BASE["DIN"], "history_feature_list": ["item"]},
    ),
    row("bst", att_head_num=2),
    row("bst_two_blocks", OTHERS[:2], 1, att_head_num=4, transformer_num=2),
    row("dsin", att_embedding_size=1, att_head_num=8),
    row(
        *("dsin_bias", (), 2),
        att_embedding_size=4,
        att_head_num=2,
        bias_encoding=True,
    ),
    row("dien_gru", gru_type="GRU"),
    row("dien_aigru", (), 1, gru_type="AIGRU"),
    row("dien_agru", gru_type="AGRU"),
    row("dien_augru", gru_type="AUGRU"),
    row(
        *("dien_negatives", NEGATIVES, 1),
        gru_type="AUGRU",
        use_negsampling=True,
        **RAW,
    ),
    row("dien_other_sequences", OTHERS[1:2], use_bn=True),
]


def draw_inputs(row: ModelConfiguration, rng) -> dict[str, np.ndarray]:
    """Draw ids from 1 with padding 0, lengths, weights and dense values."""
    inputs: dict[str, np.ndarray] = {}
    for column in row.columns:
        if column["column"] == "DenseFeat":
            shape = (BATCH, column["dimension"])
            inputs[column["name"]] = rng.normal(size=shape).astype("float32")
        elif column["column"] == "SparseFeat":
            inputs[column["name"]] = _ids(column, (BATCH, 1), rng)
        else:
            inputs.update(_draw_sequence(column, rng))
    if row.model == "DSIN":
        inputs["sess_length"] = SESSION_COUNTS[:, None].astype("float32")
    return inputs


def _draw_sequence(column, rng):
    feature, steps = column["sparsefeat"], column["maxlen"]
    lengths = LENGTHS if "length_name" in column else TAG_LENGTHS
    if feature["name"].startswith("sess_"):
        session = int(feature["name"].split("_")[1])
        lengths = np.roll(np.array([4, 3, 2, 2, 4, 3]), session)
        lengths = np.where(session < SESSION_COUNTS, lengths, 0)
    ids = _ids(feature, (BATCH, steps), rng)
    ids[np.arange(steps) >= lengths[:, None]] = 0
    inputs = {feature["name"]: ids}
    if "length_name" in column:
        inputs[column["length_name"]] = lengths[:, None].astype("int32")
    if "weight_name" in column:
        weights = rng.uniform(0.2, 1.0, (*ids.shape, 1)).astype("float32")
        inputs[column["weight_name"]] = weights
    return inputs


def _ids(feature, shape, rng):
    """Draw ids of the table, or ids outside of it that will be hashed."""
    if not feature.get("use_hash"):
        return rng.integers(1, feature["vocabulary_size"], shape, "int32")
    ids = rng.integers(1, 10**6, shape)
    if feature.get("dtype") == "string":
        return ids.astype("U8")
    return ids.astype(feature.get("dtype", "int32"))
