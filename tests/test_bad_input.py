"""Every argument of every public function rejects invalid values.

Layers and ops have tests of their own; tests/test_checks.py tests more values.
"""

import inspect

import keras
import numpy as np
import pytest

from kseq import agreement, export, feature_column, hashing, models
from kseq.agreement import Agreement, Computation, Known
from kseq.convert import deepctr
from kseq.feature_column import (
    DenseFeat,
    SparseFeat,
    VarLenDenseFeat,
    VarLenSparseFeat,
)
from kseq.layers import Dice
from kseq.models import (
    BST,
    DIEN,
    DIN,
    DSIN,
    attention_weights,
    ranking_model,
    score_candidates,
    split_model,
    update_model,
)

pytestmark = pytest.mark.once

MODULES = (agreement, export, feature_column, hashing, models, deepctr)
# Classes that users receive and do not create.
RETURNED = {"Agreement", "Comparison", "ExportError", "Record", "Report"}


def predictor():
    item, other = keras.Input((1,), name="item"), keras.Input((1,), name="u")
    return keras.Model([item, other], keras.layers.Add()([item, other]))


def dice():
    layer = Dice()
    layer.build((None, 2))
    return layer


ITEM = SparseFeat("item", 20, embedding_dim=8)
CLICKS, SESSION = (
    VarLenSparseFeat(
        SparseFeat(f"{prefix}item", 20, 8, embedding_name="item"),
        maxlen=4,
        length_name="seq_length",
    )
    for prefix in ("hist_", "sess_0_")
)
HISTORY = {
    "dnn_feature_columns": [ITEM, CLICKS],
    "history_feature_list": ["item"],
}
SESSIONS = {
    "dnn_feature_columns": [ITEM, SESSION],
    **{"sess_feature_list": ["item"], "sess_max_count": 1},
}
ROWS = {"item": np.ones(2), "u": np.ones(2)}
EXPORT = {"model": predictor(), "path": "no.onnx", "example_inputs": ROWS}
RELU = Computation(keras.layers.ReLU(), (np.ones((2, 3)),))
MEASURE = {"computation": RELU, "policy": "float32", "kind": "forward"}
SCORE = {"model": predictor(), "user": {"u": 1}, "candidates": {"item": [1]}}

VALID = {
    SparseFeat: {"name": "a", "vocabulary_size": 5},
    VarLenSparseFeat: {"sparsefeat": ITEM, "maxlen": 3},
    DenseFeat: {"name": "a"},
    VarLenDenseFeat: {"name": "a", "maxlen": 3},
    feature_column.get_feature_names: {},
    feature_column.build_input_features: {"feature_columns": [ITEM]},
    **{DIN: HISTORY, DIEN: HISTORY, BST: HISTORY, DSIN: SESSIONS},
    score_candidates: SCORE,
    attention_weights: {"model": predictor(), "features": {}},
    **{ranking_model: {}, split_model: {}, update_model: {}},
    hashing.hash_ids: {"ids": [1], "num_buckets": 10, "mask_zero": True},
    deepctr.load_h5: {"model": predictor(), "filepath": "no.h5"},
    deepctr.set_layer_weights: {"layer": dice(), "weights": [np.ones(2)] * 3},
    deepctr.weights_in_deepctr_order: {},
    **{export.export: EXPORT, export.check: EXPORT},
    Computation: {"function": len},
    Known: {"backend": "torch", "reason": "a fault"},
    agreement.load_record: {},
    agreement.compare: {"folder": "."},
    agreement.measure: MEASURE,
    agreement.seed_weights: {"layer": dice()},
}


ARGUMENTS = [
    pytest.param(function, argument, id=f"{function.__name__}-{argument}")
    for function in VALID
    for argument in inspect.signature(function).parameters
    # Without restrictions, tested elsewhere, or None by default.
    if argument not in ("args", "kwargs", "cache", "change", "known", "explain")
    and (function, argument) != (agreement.seed_weights, "dtype")
]


@pytest.mark.parametrize(("function", "argument"), ARGUMENTS)
def test_invalid_values_raise(function, argument):
    message = rf"^{argument}\b.*: expected .*; received "
    for value in (object(), [object()], -1.5):
        with pytest.raises(ValueError, match=message):
            function(**VALID[function] | {argument: value})


@pytest.mark.parametrize(
    ("function", "argument", "value"),
    [
        (SparseFeat, "dtype", "bool"),
        (DenseFeat, "dtype", "string"),
        (VarLenDenseFeat, "dtype", "string"),
        (DIN, "dnn_feature_columns", [ITEM, CLICKS, None]),
        (score_candidates, "batch_size", None),
        (score_candidates, "model", keras.Sequential()),
        (attention_weights, "model", predictor()),
        (DIN, "seed", 2**31),
        (hashing.hash_ids, "ids", ["a", None]),
        (hashing.hash_ids, "num_buckets", 2**64),
        (agreement.seed_weights, "layer", Dice()),
        (agreement.seed_weights, "seed", None),
        (agreement.seed_weights, "dtype", "int8"),
    ],
)
def test_values_that_one_function_rejects(function, argument, value):
    with pytest.raises(ValueError, match=f"^{argument}: expected "):
        function(**VALID[function] | {argument: value})


@pytest.mark.parametrize(
    "options",
    [
        {"dtypes": "int8"},
        {"dtypes": ""},
        {"kinds": ["fast"]},
        {"rtol": 0},
        {"rtol": "1e-3"},
        {"finite": 1},
        {"reference": 3},
        {"kinds": "training"},  # of a layer without that argument
    ],
    ids=str,
)
def test_invalid_arguments_of_the_fixture_raise(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"^{name}: expected "):
        Agreement("test")(keras.layers.ReLU(), np.ones((2, 3)), **options)


def test_every_public_function_is_tested():
    public = {
        value
        for module in MODULES
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__.startswith(module.__name__)
        and not inspect.isabstract(value)
        and name not in RETURNED
    }
    assert public == VALID.keys()
