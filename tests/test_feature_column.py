"""Columns: DeepCTR's fields and defaults, and what is refused."""

import dataclasses
import re

import keras
import numpy as np
import pytest

from kseq.feature_column import (
    DEFAULT_GROUP_NAME,
    DenseFeat,
    SparseFeat,
    VarLenSparseFeat,
    build_input_features,
    get_feature_names,
)

SPARSE_DEFAULTS = {
    "embedding_dim": 4,
    "use_hash": False,
    "vocabulary_path": None,
    "dtype": "int32",
    "embedding_name": "item",
    "group_name": "default_group",
    "trainable": True,
}
ITEM = SparseFeat("item", 100)
HISTORY = VarLenSparseFeat(ITEM, 4, length_name="n", weight_name="w")


def fields(cls):
    return [field.name for field in dataclasses.fields(cls)]


def test_fields_stand_in_deepctr_s_order():
    assert fields(SparseFeat) == [
        "name",
        "vocabulary_size",
        "embedding_dim",
        "use_hash",
        "vocabulary_path",
        "dtype",
        "embeddings_initializer",
        "embedding_name",
        "group_name",
        "trainable",
    ]
    assert fields(VarLenSparseFeat) == [
        "sparsefeat",
        "maxlen",
        "combiner",
        "length_name",
        "weight_name",
        "weight_norm",
    ]
    assert fields(DenseFeat) == ["name", "dimension", "dtype", "transform_fn"]


def test_defaults_are_deepctr_s():
    for field, value in SPARSE_DEFAULTS.items():
        assert getattr(ITEM, field) == value, field
    config = ITEM.embeddings_initializer.get_config()
    assert isinstance(
        ITEM.embeddings_initializer, keras.initializers.RandomNormal
    )
    assert (config["mean"], config["stddev"], config["seed"]) == (0, 1e-4, 2020)
    column = VarLenSparseFeat(ITEM, 4)
    assert (column.combiner, column.weight_norm) == ("mean", True)
    assert (column.length_name, column.weight_name) == (None, None)
    dense = DenseFeat("x")
    assert (dense.dimension, dense.dtype) == (1, "float32")
    assert dense.transform_fn is None
    assert DEFAULT_GROUP_NAME == "default_group"


def test_sizes_may_be_numpys():
    """As `data["item"].max() + 1` is; Keras asks for Python's."""
    item = SparseFeat("item", np.int64(100), np.int32(8))
    history = VarLenSparseFeat(item, np.int64(4))
    dense = DenseFeat("price", np.int64(2))
    for size in (
        item.vocabulary_size,
        item.embedding_dim,
        history.maxlen,
        dense.dimension,
    ):
        assert type(size) is int


def test_a_sequence_has_all_fields_of_its_sparse_one():
    for field in fields(SparseFeat):
        assert getattr(HISTORY, field) == getattr(ITEM, field)


@pytest.mark.parametrize(("size", "dim"), [(1, 6), (16, 12), (10_000, 60)])
def test_a_width_can_be_found_by_the_vocabulary(size, dim):
    assert SparseFeat("x", size, "auto").embedding_dim == dim


def test_columns_are_keys():
    again = SparseFeat("item", 100)
    assert again == ITEM
    assert hash(again) == hash(ITEM) == hash("item")
    assert len({ITEM, again, SparseFeat("item", 7)}) == 2
    assert {DenseFeat("x"): 1}[DenseFeat("x")] == 1
    assert hash(HISTORY) == hash("item")
    with pytest.raises(dataclasses.FrozenInstanceError):
        ITEM.name = "other"


def test_a_changed_column_is_checked_again():
    assert dataclasses.replace(ITEM, embedding_dim=8).embedding_dim == 8
    with pytest.raises(ValueError, match="vocabulary_size"):
        dataclasses.replace(ITEM, vocabulary_size=0)


def test_inputs_are_named_once():
    columns = [
        DenseFeat("age"),
        SparseFeat("user", 9),
        HISTORY,
        VarLenSparseFeat(SparseFeat("cate", 9), 4, length_name="n"),
    ]
    expected = ["age", "user", "item", "w", "n", "cate"]
    assert get_feature_names(columns) == expected
    # DeepCTR's users add the linear part's columns to the deep part's.
    assert get_feature_names(columns + columns) == expected


@pytest.mark.parametrize(
    ("dtype", "most"),
    [
        ("int8", 2**7),
        ("uint8", 2**8),
        ("bfloat16", 2**8),
        ("float16", 2**11),
        ("float32", 2**24),
    ],
)
def test_a_dtype_holds_every_id(dtype, most):
    assert SparseFeat("x", most, dtype=dtype).dtype == dtype
    with pytest.raises(ValueError, match=f"holds all ids below {most + 1}"):
        SparseFeat("x", most + 1, dtype=dtype)


@pytest.mark.parametrize("steps", [4, None])
def test_inputs_have_shapes_and_dtypes(steps):
    columns = [
        SparseFeat("user", 9, dtype="int64"),
        DenseFeat("age", 3, dtype="float64"),
        VarLenSparseFeat(ITEM, steps, length_name="n", weight_name="w"),
    ]
    inputs = build_input_features(columns, prefix="my_")
    assert list(inputs) == get_feature_names(columns)
    found = {k: (tuple(x.shape), x.dtype, x.name) for k, x in inputs.items()}
    assert found == {
        "user": ((None, 1), "int64", "my_user"),
        "age": ((None, 3), "float64", "my_age"),
        "item": ((None, steps), "int32", "my_item"),
        "w": ((None, steps, 1), "float32", "my_w"),
        "n": ((None, 1), "int32", "my_n"),
    }


NAME = "expected a name without '/'; received "
REFUSED = [
    (SparseFeat, {"name": ""}, f"name: {NAME}''"),
    (SparseFeat, {"name": "a/b"}, f"name: {NAME}'a/b'"),
    (SparseFeat, {"name": 3}, f"name: {NAME}3"),
    (
        SparseFeat,
        {"vocabulary_size": 0},
        "vocabulary_size: expected a positive integer; received 0",
    ),
    (SparseFeat, {"embedding_dim": 0}, "embedding_dim: expected a positive"),
    (
        SparseFeat,
        {"embedding_dim": "big"},
        "embedding_dim: expected a positive integer or 'auto'; received 'big'",
    ),
    (SparseFeat, {"use_hash": 1}, "use_hash: expected True or False"),
    (SparseFeat, {"dtype": "int31"}, "dtype: expected the name of a dtype"),
    (
        SparseFeat,
        {"embeddings_initializer": "no"},
        "embeddings_initializer: expected a Keras initializer, its name or "
        "None; received 'no'",
    ),
    (SparseFeat, {"embedding_name": ""}, f"embedding_name: {NAME}''"),
    (SparseFeat, {"group_name": None}, f"group_name: {NAME}None"),
    (SparseFeat, {"trainable": "no"}, "trainable: expected True or False"),
    (
        VarLenSparseFeat,
        {"sparsefeat": "item"},
        "sparsefeat: expected a SparseFeat; received 'item'",
    ),
    (VarLenSparseFeat, {"maxlen": 0}, "maxlen: expected a positive integer"),
    (
        VarLenSparseFeat,
        {"combiner": "avg"},
        "combiner: expected one of 'sum', 'mean', 'max'; received 'avg'",
    ),
    (VarLenSparseFeat, {"length_name": 3}, f"length_name: {NAME}3"),
    (VarLenSparseFeat, {"weight_name": ""}, f"weight_name: {NAME}''"),
    (VarLenSparseFeat, {"weight_norm": 1}, "weight_norm: expected True or"),
    (DenseFeat, {"name": None}, f"name: {NAME}None"),
    (DenseFeat, {"dimension": 1.0}, "dimension: expected a positive integer"),
    (DenseFeat, {"dtype": "floats"}, "dtype: expected the name of a dtype"),
    (DenseFeat, {"dtype": "string"}, "dtype: expected the name of a dtype"),
    (DenseFeat, {"transform_fn": 3}, "transform_fn: expected a function or"),
]
RIGHT = {
    SparseFeat: {"name": "x", "vocabulary_size": 9},
    VarLenSparseFeat: {"sparsefeat": ITEM, "maxlen": 4},
    DenseFeat: {"name": "x"},
}


@pytest.mark.parametrize(
    ("cls", "wrong", "said"), REFUSED, ids=[str(x[2])[:30] for x in REFUSED]
)
def test_what_is_wrong_is_refused(cls, wrong, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        cls(**{**RIGHT[cls], **wrong})


def test_inputs_of_one_name_must_be_alike():
    with pytest.raises(ValueError, match="one shape and dtype for the input"):
        get_feature_names([ITEM, DenseFeat("item")])


@pytest.mark.parametrize("given", [None, ITEM, ["item"]])
def test_columns_come_in_a_list(given):
    with pytest.raises(ValueError, match=r"^feature_columns: expected a"):
        build_input_features(given)
