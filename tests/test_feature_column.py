"""Columns: DeepCTR's fields and defaults, and the inputs of a model.

tests/test_bad_input.py tests invalid arguments.
"""

import dataclasses

import numpy as np
import pytest

from kseq.feature_column import (
    DenseFeat,
    SparseFeat,
    VarLenSparseFeat,
    build_input_features,
    get_feature_names,
)

pytestmark = pytest.mark.once

ITEM = SparseFeat("item", 100)
HISTORY = VarLenSparseFeat(ITEM, 4, length_name="n", weight_name="w")


# DeepCTR's fields, in order, and their defaults.
SPARSE = {
    **{"name": "item", "vocabulary_size": 100, "embedding_dim": 4},
    **{"use_hash": False, "vocabulary_path": None, "dtype": "int32"},
    **{"embeddings_initializer": ITEM.embeddings_initializer},
    **{"embedding_name": "item", "group_name": "default_group"},
    "trainable": True,
}
VARLEN = {
    **{"sparsefeat": ITEM, "maxlen": 4, "combiner": "mean"},
    **{"length_name": None, "weight_name": None, "weight_norm": True},
}
DENSE = {"name": "x", "dimension": 1, "dtype": "float32", "transform_fn": None}


def test_fields_and_defaults_are_deepctr_s():
    columns = ITEM, VarLenSparseFeat(ITEM, 4), DenseFeat("x")
    for column, expected in zip(columns, (SPARSE, VARLEN, DENSE), strict=True):
        names = [field.name for field in dataclasses.fields(column)]
        names = [n for n in names if n != "values"]  # kseq's
        assert names == [*expected]
        assert {name: getattr(column, name) for name in names} == expected


def test_sizes_become_python_integers():
    """Keras rejects NumPy's, such as `data["item"].max() + 1`."""
    item = SparseFeat("item", np.int64(100), np.int32(8))
    history = VarLenSparseFeat(item, np.int64(4))
    dense = DenseFeat("price", np.int64(2))
    sizes = item.vocabulary_size, item.embedding_dim, history.maxlen
    assert {*map(type, (*sizes, dense.dimension))} == {int}


def test_columns_are_immutable_and_hashable():
    again = SparseFeat("item", 100)
    assert again == ITEM
    assert len({ITEM, again, SparseFeat("item", 7)}) == 2
    assert hash(ITEM) == hash(HISTORY) == hash("item")
    assert {DenseFeat("x"): 1}[DenseFeat("x")] == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        ITEM.name = "other"
    assert dataclasses.replace(ITEM, embedding_dim=8).embedding_dim == 8
    with pytest.raises(ValueError, match="vocabulary_size"):
        dataclasses.replace(ITEM, vocabulary_size=0)


BITS = {"int8": 7, "uint8": 8, "bfloat16": 8, "float16": 11, "float32": 24}


@pytest.mark.parametrize(("dtype", "bits"), BITS.items())
def test_a_dtype_must_hold_every_id(dtype, bits):
    largest = 2**bits
    assert SparseFeat("x", largest, dtype=dtype).dtype == dtype
    with pytest.raises(ValueError, match=f"holds all ids below {largest + 1}"):
        SparseFeat("x", largest + 1, dtype=dtype)


@pytest.mark.parametrize("steps", [4, None])
def test_inputs_have_names_shapes_and_dtypes(steps):
    columns = [
        SparseFeat("user", 9, dtype="int64"),
        DenseFeat("age", 3, dtype="float64"),
        VarLenSparseFeat(ITEM, steps, length_name="n", weight_name="w"),
        VarLenSparseFeat(SparseFeat("cate", 9), steps, length_name="n"),
    ]
    # DeepCTR's users concatenate the linear and the deep part's columns.
    inputs = build_input_features(columns + columns, prefix="my_")
    assert [*inputs] == get_feature_names(columns + columns)
    found = [(k, tuple(x.shape), x.dtype, x.name) for k, x in inputs.items()]
    assert found == [
        ("user", (None, 1), "int64", "my_user"),
        ("age", (None, 3), "float64", "my_age"),
        ("item", (None, steps), "int32", "my_item"),
        ("w", (None, steps, 1), "float32", "my_w"),
        ("n", (None, 1), "int32", "my_n"),
        ("cate", (None, steps), "int32", "my_cate"),
    ]
    with pytest.raises(ValueError, match="one shape and dtype for the input"):
        get_feature_names([*columns, DenseFeat("item")])
