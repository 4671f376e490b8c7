"""What is neither op nor layer refuses: every argument of every function.

Layers and ops have tables of their own (tests/layers, tests/ops); files, and
what does not fit another argument, stand in the tests of their rooms.
"""

import inspect

import keras
import numpy as np
import pytest

import kseq.agreement
import kseq.export
import kseq.feature_column
import kseq.hashing
import kseq.models
from kseq.agreement import (
    Case,
    case,
    compare,
    load_cases,
    load_record,
    measure,
    reference_values,
    seed_weights,
)
from kseq.convert import deepctr
from kseq.export import check, export
from kseq.feature_column import (
    DenseFeat,
    SparseFeat,
    VarLenSparseFeat,
    build_input_features,
    get_feature_names,
)
from kseq.hashing import hash_ids
from kseq.layers import Dice
from kseq.models import BST, DIEN, DIN, DSIN, score_candidates

NAN, INFINITY = float("nan"), float("inf")
NO_BOOLS = (None, 0, 1, "yes", [True], np.True_)
NO_INTEGERS = ("3", 1.0, NAN, True, [3], {}, 1j)
NO_NUMBERS = (None, "1", True, [0.5], NAN, INFINITY, 1j)
NO_PATHS = (None, 0, 3, True, b"x", ["x"], {})

BOOL = "True or False", NO_BOOLS
POSITIVE = "a positive integer", (None, 0, -1, *NO_INTEGERS)
MAYBE_POSITIVE = "a positive integer", (0, -1, *NO_INTEGERS)
WIDTHS = "a sequence of positive integers", (None, 4, "80", {4: 1}, (4, 0))
SEED = "an integer from 0 to 2147483647", (-1, 2**31, *NO_INTEGERS)
RATE = "a number in [0, 1)", (-0.1, 1.0, 2, *NO_NUMBERS)
AT_LEAST_0 = "a finite number of at least 0", (-1, *NO_NUMBERS)
ACTIVATION = (
    "the name of a Keras activation, 'dice', a function, or a keras layer or "
    "its class",
    ("nope", 3, dict, [1]),
)
NAME = "a name without '/'", (None, "", "a/b", 3, ["a"])
MAYBE_NAME = "a name without '/'", ("", "a/b", 3, ["a"])
DTYPE = (
    "the name of a dtype of numbers",
    (None, "float", "int31", "bool", "complex64", 3, ["int32"], {}),
)
COLUMNS = "a list of SparseFeat, VarLenSparseFeat and DenseFeat"
PATH = "a path", NO_PATHS


def one_of(*options):
    told = "one of " + ", ".join(map(repr, options))
    other = [None] if None not in options else []
    return told, ("other", "", 1, True, ["sum"], {}, *other)


ITEM = SparseFeat("item", 20, embedding_dim=8)
CLICKS = VarLenSparseFeat(
    SparseFeat("hist_item", 20, 8, embedding_name="item"),
    maxlen=4,
    length_name="seq_length",
)
SESSIONS = [
    VarLenSparseFeat(
        SparseFeat(f"sess_{i}_item", 20, 8, embedding_name="item"), maxlen=3
    )
    for i in range(2)
]
NO_COLUMNS = COLUMNS, (None, 3, "item")
NO_LIST_OF_NAMES = "a list of SparseFeats' names, ['item']", (None, 3, "item")
MODEL = {
    "dnn_feature_columns": NO_COLUMNS,
    "history_feature_list": NO_LIST_OF_NAMES,
    "dnn_hidden_units": WIDTHS,
    "dnn_activation": ACTIVATION,
    "l2_reg_dnn": AT_LEAST_0,
    "l2_reg_embedding": AT_LEAST_0,
    "dnn_dropout": RATE,
    "seed": SEED,
    "task": one_of("binary", "regression"),
}
HISTORY = {
    "dnn_feature_columns": [ITEM, CLICKS],
    "history_feature_list": ["item"],
}


def predictor():
    item, other = keras.Input((1,), name="item"), keras.Input((1,), name="u")
    return keras.Model([item, other], keras.layers.Add()([item, other]))


def dice():
    layer = Dice()
    layer.build((None, 2))
    return layer


NO_MODELS = (None, 3, "model", keras.Model)
NO_LAYERS = (None, 3, "dice", keras.Layer)
EXPORTED = {
    "model": (
        "a functional or sequential keras.Model, which knows its inputs",
        NO_MODELS,
    ),
    "path": PATH,
    "format": (
        "one of 'tf_saved_model', 'onnx', 'openvino', 'litert', 'torch'",
        ("other", "", 1, True, ["onnx"], {}),
    ),
    "batch_size": MAYBE_POSITIVE,
    "steps": MAYBE_POSITIVE,
    "tolerance": RATE,
}
EXPORT = {
    "model": predictor(),
    "path": "nowhere.onnx",
    "example_inputs": {"item": np.ones(2), "u": np.ones(2)},
}
CASE = Case("a", lambda: (keras.layers.ReLU(), np.ones((2, 3))))
MEASURED = {
    "case": ("a Case", (None, "a", Case)),
    "dtype": one_of("float64", "float32", "bfloat16", "float16"),
    "kind": one_of(
        "forward",
        "forward_compiled",
        "gradients",
        "gradients_compiled",
        "fit",
    ),
}
MEASURE = {"case": CASE, "dtype": "float32", "kind": "forward"}
NO_FUNCTIONS = (3, "f", [len])

# Each function: what it is given, and of its arguments what is expected and
# what is not it.
TABLE = {
    SparseFeat: (
        {"name": "a", "vocabulary_size": 5},
        {
            "name": NAME,
            "vocabulary_size": POSITIVE,
            "embedding_dim": ("a positive integer", (None, 0, 1.5, True)),
            "use_hash": BOOL,
            "vocabulary_path": ("a path or None", (3, b"x", ["x"])),
            "dtype": DTYPE,
            "embeddings_initializer": (
                "a Keras initializer, its name or None",
                ("nope", 3, [1], np.float32(1)),
            ),
            "embedding_name": MAYBE_NAME,
            "group_name": NAME,
            "trainable": BOOL,
        },
    ),
    VarLenSparseFeat: (
        {"sparsefeat": ITEM, "maxlen": 3},
        {
            "sparsefeat": ("a SparseFeat", (None, "item", SparseFeat, CLICKS)),
            "maxlen": MAYBE_POSITIVE,
            "combiner": one_of("sum", "mean", "max"),
            "length_name": MAYBE_NAME,
            "weight_name": MAYBE_NAME,
            "weight_norm": BOOL,
        },
    ),
    DenseFeat: (
        {"name": "a"},
        {
            "name": NAME,
            "dimension": POSITIVE,
            "dtype": DTYPE,
            "transform_fn": ("a function or None", NO_FUNCTIONS),
        },
    ),
    get_feature_names: ({}, {"feature_columns": NO_COLUMNS}),
    build_input_features: (
        {"feature_columns": [ITEM]},
        {
            "feature_columns": NO_COLUMNS,
            "prefix": ("a word", (None, 3, ["a"])),
        },
    ),
    DIN: (
        HISTORY,
        MODEL
        | {
            "dnn_use_bn": BOOL,
            "att_hidden_size": WIDTHS,
            "att_activation": ACTIVATION,
            "att_weight_normalization": BOOL,
        },
    ),
    DIEN: (
        HISTORY,
        MODEL
        | {
            "gru_type": one_of("GRU", "AIGRU", "AGRU", "AUGRU"),
            "use_negsampling": BOOL,
            "alpha": AT_LEAST_0,
            "use_bn": BOOL,
            "att_hidden_units": WIDTHS,
            "att_activation": ACTIVATION,
            "att_weight_normalization": BOOL,
            "augru_form": one_of("deepctr", "paper"),
        },
    ),
    BST: (
        HISTORY,
        MODEL
        | {
            "transformer_num": POSITIVE,
            "att_head_num": POSITIVE,
            "use_bn": BOOL,
            "max_steps": MAYBE_POSITIVE,
        },
    ),
    DSIN: (
        {
            "dnn_feature_columns": [ITEM, *SESSIONS],
            "sess_feature_list": ["item"],
            "sess_max_count": 2,
        },
        {key: MODEL[key] for key in MODEL if key != "history_feature_list"}
        | {
            "sess_feature_list": NO_LIST_OF_NAMES,
            "sess_max_count": POSITIVE,
            "bias_encoding": BOOL,
            "att_embedding_size": POSITIVE,
            "att_head_num": POSITIVE,
            "dnn_use_bn": BOOL,
            "lstm_dropout": RATE,
            "mask_padding": BOOL,
            "pool_others": BOOL,
            "max_steps": MAYBE_POSITIVE,
        },
    ),
    score_candidates: (
        {"model": predictor(), "user": {"u": 1}, "candidates": {"item": [1]}},
        {
            "model": ("a Keras model of one output (batch, 1)", NO_MODELS),
            "user": ("a dict of features by name", (None, 3, "u", [1])),
            "candidates": ("a dict of features by name", (None, 3, "u", [1])),
            "batch_size": POSITIVE,
        },
    ),
    hash_ids: (
        {"ids": [1], "num_buckets": 10},
        {
            "ids": ("integers or strings", (None, {}, object())),
            "num_buckets": POSITIVE,
            "mask_zero": BOOL,
        },
    ),
    deepctr.load_h5: (
        {"model": predictor(), "filepath": "nowhere.h5"},
        {
            "model": ("a Keras model", NO_MODELS),
            "filepath": ("the path of an HDF5 file", NO_PATHS),
            "layer_names": (
                "a dict of layers' names, or None",
                (3, "dnn", ["dnn"], True),
            ),
        },
    ),
    deepctr.set_layer_weights: (
        {"layer": dice(), "weights": [np.ones(2)] * 3},
        {
            "layer": ("a Keras layer", NO_LAYERS),
            "weights": ("a list of arrays", (None, 3, "abc", {})),
        },
    ),
    deepctr.weights_in_deepctr_order: (
        {},
        {"layer": ("a Keras layer", NO_LAYERS)},
    ),
    export: (EXPORT, EXPORTED),
    check: (EXPORT, EXPORTED),
    Case: (
        {"name": "a", "build": len},
        {
            "name": (
                'a printable text without "/"',
                (None, "", "a/b", "a\0", 3),
            ),
            "build": ("a function", (None, *NO_FUNCTIONS)),
            "reference": ("a function or None", NO_FUNCTIONS),
        },
    ),
    case: (
        {},
        {"build": ("a function", NO_FUNCTIONS)},
    ),
    load_cases: ({}, {"module": PATH}),
    load_record: ({}, {"path": PATH}),
    compare: (
        {"folder": "."},
        {
            "folder": PATH,
            "runs": ("a list of runs' names", (3, "torch-cpu", {})),
        },
    ),
    measure: (MEASURE, MEASURED),
    reference_values: (MEASURE, MEASURED),
    seed_weights: (
        {"layer": dice()},
        {
            "layer": ("a built Keras layer", (*NO_LAYERS, Dice())),
            "seed": ("an integer", (None, *NO_INTEGERS)),
        },
    ),
}


@pytest.mark.parametrize(
    ("function", "argument"),
    [
        pytest.param(function, argument, id=f"{function.__name__}-{argument}")
        for function, (_, arguments) in TABLE.items()
        for argument in arguments
    ],
)
def test_what_is_not_expected_is_refused(function, argument):
    right, arguments = TABLE[function]
    expected, others = arguments[argument]
    for wrong in others:
        received = tuple(wrong) if isinstance(wrong, list) else wrong
        with pytest.raises(ValueError, match="expected") as caught:
            function(**right | {argument: wrong})
        assert str(caught.value) in {
            f"{argument}: expected {expected}; received {wrong!r}",
            f"{argument}: expected {expected}; received {received!r}",
        }


# What is said in other words, or of what is in an argument.
WORDS = [
    (
        SparseFeat,
        {"embedding_dim": "wide"},
        "embedding_dim: expected a positive integer or 'auto'; received 'wide'",
    ),
    (
        get_feature_names,
        {"feature_columns": [ITEM, "item"]},
        f"feature_columns: expected {COLUMNS}; received among them 'item'",
    ),
    (
        DIN,
        {"dnn_feature_columns": [ITEM, None]},
        f"dnn_feature_columns: expected {COLUMNS}; received among them None",
    ),
    (
        DIN,
        {"history_feature_list": []},
        "history_feature_list: expected a list of SparseFeats' names, "
        "['item']; received []",
    ),
    (
        hash_ids,
        {"ids": [[1], [1, 2]]},
        "ids: expected integers or strings, as one array; "
        "received [[1], [1, 2]]",
    ),
    (
        hash_ids,
        {"ids": [0.5, NAN]},
        "ids: expected integers or strings; received dtype float64",
    ),
    (
        hash_ids,
        {"ids": [True]},
        "ids: expected integers or strings; received dtype bool",
    ),
    (
        hash_ids,
        {"ids": ["a", None]},
        "ids: expected integers or strings; received None",
    ),
    (
        hash_ids,
        {"num_buckets": 2**64},
        f"num_buckets: expected 1 to 2**63 - 1; received {2**64}",
    ),
    (
        deepctr.load_h5,
        {"layer_names": {"dnn": 3}},
        "layer_names: expected a dict of layers' names, or None; "
        "received among them 3",
    ),
    (
        deepctr.set_layer_weights,
        {"weights": [np.array(["a", "b"])] * 3},
        "weights: expected arrays of numbers; received 'str32'",
    ),
    (
        Case,
        {"dtypes": "float32"},
        "dtypes of case 'a': expected some of "
        "('float64', 'float32', 'bfloat16', 'float16'); received 'float32'",
    ),
    (
        Case,
        {"dtypes": ["float8"]},
        "dtypes of case 'a': expected one of 'float64', 'float32', 'bfloat16', "
        "'float16'; received 'float8'",
    ),
    (
        Case,
        {"kinds": ["fast"]},
        "kinds of case 'a': expected one of 'forward', 'forward_compiled', "
        "'gradients', 'gradients_compiled', 'fit'; received 'fast'",
    ),
    (
        compare,
        {"runs": ["torch", 3]},
        "runs: expected a list of runs' names; received among them 3",
    ),
    (
        seed_weights,
        {"seed": -1},
        "seed: expected an integer of at least 0; received -1",
    ),
    (
        check,
        {"example_inputs": {"item": [1]}},
        "example_inputs: expected the inputs ['item', 'u']; "
        "received ['item'], without ['u']",
    ),
    (
        export,
        {"example_inputs": {"item": [1], "u": [1, 2]}},
        "example_inputs: expected as many rows of each input, and at least "
        "one; received {'item': 1, 'u': 2}",
    ),
]


@pytest.mark.parametrize(
    ("function", "wrong", "message"),
    [
        pytest.param(*row, id=f"{row[0].__name__}-{'-'.join(row[1])}-{i}")
        for i, row in enumerate(WORDS)
    ],
)
def test_and_in_these_words(function, wrong, message):
    right, _ = TABLE[function]
    with pytest.raises(ValueError, match="expected") as caught:
        function(**right | wrong)
    assert str(caught.value) == message


def test_options_that_a_case_does_not_have_are_refused():
    with pytest.raises(TypeError, match="bogus"):
        case(bogus=1)(len)


# What users get and do not make: results, and errors.
RESULTS = {"Comparison", "ExportError", "Record", "Report"}


def test_every_argument_of_every_function_is_in_the_table():
    rooms = (
        kseq.agreement,
        kseq.export,
        kseq.feature_column,
        kseq.hashing,
        kseq.models,
        deepctr,
    )
    public = {
        value
        for room in rooms
        for name, value in vars(room).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__.startswith(room.__name__)
        and name not in RESULTS
        and not inspect.isabstract(value)
    }
    assert public == TABLE.keys()
    for function, (_, arguments) in TABLE.items():
        told = {
            name for of, wrong, _ in WORDS if of is function for name in wrong
        }
        told |= {name for name in arguments if arguments[name][1]}
        there = {*inspect.signature(function).parameters}
        if function is case:
            there.remove("options")  # see above
        assert there == told, function
