"""Which DeepCTR models are recorded: their columns, arguments and inputs.

Every row of the inputs is defined in DeepCTR: histories of at least one step,
sessions of at least two. What is shorter is padded with id 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

BATCH, STEPS, SESSIONS = 6, 4, 3
LENGTHS = np.array([4, 3, 1, 2, 4, 1])
# Of a feature that says its length by padding alone.
TAG_LENGTHS = np.array([2, 1, 3, 3, 1, 2])
SESSION_COUNTS = np.array([3, 1, 2, 3, 2, 1])
VOCABULARY = {"user": 5, "item": 9, "cate": 6, "tag": 7, "shop": 8}


@dataclass(frozen=True)
class ModelConfiguration:
    """One model: `columns` and `arguments` hold what JSON can hold.

    `columns` are dicts: `column`, the class's name, and its arguments; a
    VarLenSparseFeat has its SparseFeat's under `sparsefeat`. `unnamed_before`
    models are made before it in the session, so that names carry counters.
    """

    name: str
    model: str
    columns: list[dict[str, Any]]
    arguments: dict[str, Any]
    optimizer: str = "sgd"
    unnamed_before: int = 0


def sparse(name: str, dim: int = 4, **options: Any) -> dict[str, Any]:
    return {
        "column": "SparseFeat",
        "name": name,
        "vocabulary_size": VOCABULARY[options.get("embedding_name", name)],
        "embedding_dim": dim,
        **options,
    }


def dense(name: str, dimension: int = 1) -> dict[str, Any]:
    return {"column": "DenseFeat", "name": name, "dimension": dimension}


def sequence(
    name: str, of: str, dim: int = 4, hashed: Any = None, **options: Any
) -> dict[str, Any]:
    """A VarLenSparseFeat of the embedding `of`."""
    feature = sparse(name, dim, embedding_name=of, **(hashed or {}))
    return {
        "column": "VarLenSparseFeat",
        "sparsefeat": feature,
        "maxlen": STEPS,
        **options,
    }


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
# Other sequences: weighted or not, of a known length or of a padded one.
OTHERS = [
    sequence("tag", "tag", 3, combiner="max"),
    sequence("shop", "shop", combiner="sum", length_name="shop_length"),
    sequence(
        "liked_tag",
        "tag",
        3,
        weight_name="tag_weight",
        combiner="mean",
    ),
    sequence(
        "liked_shop",
        "shop",
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
NAMES = ["item", "cate"]
# tanh, where a unit of ReLU may be dead for all of six rows.
SMALL = {"dnn_hidden_units": [8, 4], "dnn_activation": "tanh"}
DIN = {"history_feature_list": NAMES, "att_hidden_size": [6, 5], **SMALL}
DIEN = {"history_feature_list": NAMES, "att_hidden_units": [6, 5], **SMALL}
BST = {"history_feature_list": NAMES, **SMALL}
DSIN = {"sess_feature_list": NAMES, "sess_max_count": SESSIONS, **SMALL}
COLUMNS = PROFILE + HISTORY


@dataclass(frozen=True)
class Table:
    rows: list[ModelConfiguration] = field(default_factory=list)

    def add(self, name: str, *rest: Any, **options: Any) -> None:
        self.rows.append(ModelConfiguration(name, *rest, **options))


def table() -> list[ModelConfiguration]:
    t = Table()
    t.add(
        "din",
        "DIN",
        COLUMNS,
        {
            "history_feature_list": NAMES,
            "att_hidden_size": [6, 5],
            "dnn_hidden_units": [32, 16],
        },
        optimizer="adam",
    )
    t.add(
        "din_counters_bn",
        "DIN",
        COLUMNS,
        {**DIN, "dnn_use_bn": True, "dnn_activation": "dice"},
        unnamed_before=2,
    )
    t.add(
        "din_sigmoid_softmax",
        "DIN",
        COLUMNS,
        {
            **DIN,
            "att_activation": "sigmoid",
            "att_weight_normalization": True,
            "task": "regression",
        },
    )
    t.add("din_other_sequences", "DIN", COLUMNS + OTHERS, DIN)
    t.add(
        "din_hash",
        "DIN",
        HASHED_COLUMNS,
        {**DIN, "history_feature_list": ["item"]},
    )
    t.add("bst", "BST", COLUMNS, {**BST, "att_head_num": 2})
    t.add(
        "bst_two_blocks",
        "BST",
        COLUMNS + OTHERS[:2],
        {**BST, "att_head_num": 4, "transformer_num": 2},
        unnamed_before=1,
    )
    t.add(
        "dsin",
        "DSIN",
        PROFILE + SESSION_FEATURES,
        {**DSIN, "att_embedding_size": 1, "att_head_num": 8},
    )
    t.add(
        "dsin_bias",
        "DSIN",
        PROFILE + SESSION_FEATURES,
        {
            **DSIN,
            "att_embedding_size": 4,
            "att_head_num": 2,
            "bias_encoding": True,
        },
        unnamed_before=2,
    )
    for kind in ("GRU", "AIGRU", "AGRU", "AUGRU"):
        t.add(
            f"dien_{kind.lower()}",
            "DIEN",
            COLUMNS,
            {**DIEN, "gru_type": kind},
            unnamed_before=kind == "AIGRU",
        )
    t.add(
        "dien_negatives",
        "DIEN",
        COLUMNS + NEGATIVES,
        {
            **DIEN,
            "gru_type": "AUGRU",
            "use_negsampling": True,
            "att_activation": "sigmoid",
            "att_weight_normalization": False,
        },
        unnamed_before=1,
    )
    t.add(
        "dien_other_sequences",
        "DIEN",
        COLUMNS + OTHERS[1:2],
        {**DIEN, "use_bn": True},
    )
    return t.rows


MODELS = table()


def draw_inputs(
    row: ModelConfiguration, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Ids from 1, padded by 0; lengths, weights and dense values."""
    inputs: dict[str, np.ndarray] = {}
    counts = SESSION_COUNTS if row.model == "DSIN" else None
    for column in row.columns:
        if column["column"] == "DenseFeat":
            shape = (BATCH, column["dimension"])
            values = rng.normal(size=shape).astype("float32")
            inputs[column["name"]] = values
        elif column["column"] == "SparseFeat":
            inputs[column["name"]] = _ids(column, (BATCH, 1), rng)
        else:
            _draw_sequence(column, counts, rng, inputs)
    if counts is not None:
        inputs["sess_length"] = counts[:, None].astype("float32")
    return inputs


def _draw_sequence(
    column: dict[str, Any],
    counts: np.ndarray | None,
    rng: np.random.Generator,
    inputs: dict[str, np.ndarray],
) -> None:
    feature = column["sparsefeat"]
    lengths = LENGTHS if "length_name" in column else TAG_LENGTHS
    if counts is not None and feature["name"].startswith("sess_"):
        session = int(feature["name"].split("_")[1])
        lengths = np.roll(np.array([4, 3, 2, 2, 4, 3]), session)
        lengths = np.where(session < counts, lengths, 0)
    ids = _ids(feature, (BATCH, column["maxlen"]), rng)
    ids[np.arange(column["maxlen"]) >= lengths[:, None]] = 0
    inputs[feature["name"]] = ids
    if "length_name" in column:
        inputs[column["length_name"]] = lengths[:, None].astype("int32")
    if "weight_name" in column:
        shape = (*ids.shape, 1)
        weights = rng.uniform(0.2, 1.0, shape).astype("float32")
        inputs[column["weight_name"]] = weights


def _ids(
    feature: dict[str, Any], shape: tuple[int, ...], rng: np.random.Generator
) -> np.ndarray:
    """Ids of the table; raw ones, far beyond it, where they are hashed."""
    if not feature.get("use_hash"):
        return rng.integers(1, feature["vocabulary_size"], shape, "int32")
    ids = rng.integers(1, 10**6, shape)
    if feature.get("dtype") == "string":
        return ids.astype("U8")
    return ids.astype(feature.get("dtype", "int32"))
