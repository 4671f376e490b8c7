"""From columns to embeddings: tables, masks, pooling, and invalid columns."""

import dataclasses

import keras
import numpy as np
import pytest

from kseq.feature_column import DenseFeat, SparseFeat, VarLenSparseFeat
from kseq.layers import Embedding
from kseq.models import DIEN, DIN, DSIN
from tests.models.examples import (
    BY_NAME,
    CANDIDATE,
    CATE,
    ITEM,
    SIZES,
    USER,
    arrays,
    columns,
    make,
    predict,
    sequences,
    tags,
)
from tests.support import assert_close, to_numpy

pytestmark = pytest.mark.once

HISTORY = sequences("hist_")
TABLE = "sparse_seq_emb_hist_item"


def dnn_input(model, features=None):
    """What the DNN reads."""
    x = model.get_layer("dense").input
    return predict(keras.Model(model.inputs, x), features)[:, 0]


def test_columns_of_a_table_agree_on_its_options():
    twos = keras.initializers.Constant(2.0)
    options = {"embeddings_initializer": twos, "trainable": False}
    frozen = dataclasses.replace(HISTORY[0].sparsefeat, **options)
    history = [VarLenSparseFeat(frozen, 4), HISTORY[1]]
    for name in options:
        item = dataclasses.replace(
            ITEM, **{**options, name: getattr(ITEM, name)}
        )
        with pytest.raises(ValueError, match=f"^{name}: expected one for all"):
            DIN([item, CATE, *history], CANDIDATE)
    item = dataclasses.replace(ITEM, **options)
    model = DIN([item, CATE, *history], CANDIDATE)
    table = model.get_layer(TABLE)
    assert not table.trainable
    assert set(to_numpy(table.embeddings.value).ravel()) == {2.0}
    other = model.get_layer("sparse_seq_emb_hist_cate")
    assert other.trainable
    assert 0 < np.abs(to_numpy(other.embeddings.value)).max() < 1e-3


@pytest.mark.parametrize("layer", [Embedding, keras.layers.Embedding])
def test_pretrained_tables_are_not_part_of_the_config(layer, tmp_path):
    vectors = np.random.default_rng(5).normal(size=(SIZES["item"], 5))

    def build(values, **options):
        item, hist = (
            dataclasses.replace(
                column,
                embeddings_initializer=keras.initializers.Constant(values),
                **options,
            )
            for column in (ITEM, HISTORY[0].sparsefeat)
        )
        history = [VarLenSparseFeat(hist, 4), HISTORY[1]]
        return DIN([item, CATE, *history], CANDIDATE, embedding_layer=layer)

    model = build(vectors, trainable=False)
    assert_close(model.get_layer(TABLE).get_weights()[0], vectors)
    size = len(model.to_json())
    assert size < len(build(2.0, trainable=False).to_json()) + 100
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(predict(loaded), predict(model))
    assert not loaded.get_layer(TABLE).trainable
    rows = build(vectors[0]).get_layer(TABLE).get_weights()[0]
    assert_close(rows, np.tile(vectors[0], (len(vectors), 1)))
    with pytest.raises(ValueError, match=r"^embeddings_initializer: .*\(3, 5"):
        build(vectors[:3])


@pytest.mark.parametrize("length_name", [None, "tags_length"])
def test_weighted_mean(length_name, tmp_path):
    """Saved and loaded; one row is empty, the weights of one sum to 0."""
    column = tags(
        combiner="weighted_mean", weight_name="w", length_name=length_name
    )
    model = make(DIN, column, *HISTORY, dnn_hidden_units=())
    model.save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras")
    ids = arrays()["tags"]
    weights = np.array([[2, 1, 5], [3, 1, 9], [4, 9, 9], [9, 9, 9], [0, 0, 0]])
    lengths = np.count_nonzero(ids, axis=1)
    given = arrays() | {"w": weights[..., None], "tags_length": lengths}
    table = to_numpy(model.get_layer("sparse_seq_emb_tags").embeddings.value)
    w = np.where(ids == 0, 0, weights)[..., None]
    expected = (w * table[ids]).sum(1) / np.maximum(w.sum(1), 1)
    at = ITEM.embedding_dim + CATE.embedding_dim
    assert_close(dnn_input(model, given)[:, at : at + 2], expected)


@pytest.mark.parametrize("name", ["DIN", "DSIN"])
def test_a_step_is_valid_where_no_feature_is_0(name):
    model = BY_NAME[name].make()
    given, other = arrays(), arrays()
    prefix = "hist_" if name == "DIN" else "sess_0_"
    item, cate = prefix + "item", prefix + "cate"
    given[cate][0, 1] = other[cate][0, 1] = 0
    other[item][0, 1] = SIZES["item"] - given[item][0, 1]
    expected = predict(model, given)
    np.testing.assert_array_equal(predict(model, other), expected)
    other[cate][0, 1] = 1
    assert np.abs(predict(model, other) - expected).max() > 1e-5


def test_history_lengths():
    """The input of `length_name`, or as in DeepCTR any "seq_length"."""
    others = tags(length_name="seq_length")
    model = make(DIEN, *HISTORY, others, dnn_hidden_units=(4,))
    other = arrays()
    other["hist_item"] = np.maximum(other["hist_item"], 1)
    np.testing.assert_array_equal(predict(model, other), predict(model))
    other["seq_length"] = np.ones_like(other["seq_length"])
    assert np.abs(predict(model, other) - predict(model)).max() > 1e-5
    two = [sequences("hist_", length_name=n)[i] for i, n in enumerate("mn")]
    for history, names in ((HISTORY, r"\[\]"), (two, r"\['m', 'n'\]")):
        with pytest.raises(ValueError, match=f"^length_name: .*ed {names}"):
            make(DIEN, *history)


def test_a_history_in_another_order_warns():
    with pytest.warns(UserWarning, match="another order"):
        make(DIN, *HISTORY[::-1])


@pytest.mark.parametrize("build", [DIN, DIEN, DSIN])
def test_a_history_without_the_candidate_s_table_warns(build):
    sessions = {"sess_max_count": 1} if build is DSIN else {}

    def build_with_width(dim):
        ids = SparseFeat("sess_0_item" if sessions else "hist_item", 12, dim)
        history = VarLenSparseFeat(ids, 4, length_name="n")
        build([SparseFeat("item", 12, 8), history], ["item"], **sessions)

    match = r"embedding_name=\['item'\]"
    with pytest.warns(UserWarning, match=match) as warned:
        build_with_width(8)
    assert [w.filename for w in warned] == [__file__]
    with pytest.raises(ValueError, match=r"^embedding_dim: .*_item': 6, 'item"):
        build_with_width(6)


def changed(column, **options):
    """All columns, one of them with other options."""
    column = dataclasses.replace(column, **options)
    return [column, *(c for c in columns() if c.name != column.name)]


INVALID = [
    (changed(ITEM, use_hash=True), "use_hash of 'item': .*mask_zero=True"),
    (changed(USER, use_hash=True), "use_hash of 'user': .*mask_zero=False"),
    (changed(ITEM, dtype="string"), "dtype of 'item': .*hash_ids"),
    (changed(USER, vocabulary_path="a"), "vocabulary_path of 'user': .*csv"),
    (changed(ITEM, embedding_dim=7), "embedding_dim: .*embedding_name 'item'"),
    (changed(HISTORY[1], maxlen=3), "maxlen: expected one .*'hist_cate': 3"),
    ([ITEM, CATE, HISTORY[1]], r"received none for \['hist_item'\]"),
    ([ITEM, *columns()], r"received more than one for \['item'\]"),
]


@pytest.mark.parametrize(("given", "message"), INVALID)
def test_invalid_columns_raise(given, message):
    with pytest.raises(ValueError, match=message):
        DIN(given, CANDIDATE)


CONTRADICTIONS = [
    ("BST", {"att_head_num": 3}, "att_head_num: expected a divisor"),
    ("BST", {"steps": None}, "max_steps: expected"),
    ("DSIN-bias", {"steps": None}, "max_steps: expected"),
    ("DSIN", {"att_head_num": 3}, "att_head_num: .* candidate's embedding"),
    ("DSIN", {"sess_max_count": 3}, "none for .*'sess_2_cate'"),
    ("DIEN-GRU", {"use_negsampling": True}, "none for .*'neg_hist_cate'"),
]


@pytest.mark.parametrize(("name", "options", "message"), CONTRADICTIONS)
def test_arguments_that_contradict_the_columns_raise(name, options, message):
    with pytest.raises(ValueError, match=message):
        BY_NAME[name].make(**options)


def make_with_price(transform_fn):
    price = DenseFeat("price", 2, transform_fn=transform_fn)
    return make(DIN, *HISTORY, price, dnn_hidden_units=())


def test_dense_features_are_transformed():
    for transform_fn, factor in ((lambda x: x, 1), (lambda x: x / 2, 0.5)):
        got = dnn_input(make_with_price(transform_fn))[:, -2:]
        assert_close(got, arrays()["price"] * factor)
    # One layer may transform two columns.
    scale = keras.layers.Rescaling(0.5, name="scale")
    both = [DenseFeat(name, transform_fn=scale) for name in ("a", "b")]
    assert DIN([*both, *columns()], CANDIDATE).get_layer("scale") is scale


def dense(name):
    return keras.layers.Dense(2, name=name)


TRANSFORMS = [
    (lambda x: None, "a tensor .*; received None"),
    (lambda x: x[:, 0], r"a tensor .*; received shape \(None,\)"),
    (lambda x: keras.ops.mean(x, 0, keepdims=True), r"received shape \(1, 2\)"),
    (dense("dense"), r"'price_dense'\)`; received 'dense'"),
    (dense("sparse_seq_emb_hist_item"), "received 'sparse"),
    (dense("price"), "layers of different names"),
    (lambda x: keras.Input((2,)), "a function of its input"),
]


@pytest.mark.parametrize(("transform_fn", "message"), TRANSFORMS)
def test_invalid_transforms_raise(transform_fn, message):
    with pytest.raises(ValueError, match=f"^transform_fn .*{message}"):
        make_with_price(transform_fn)


def test_embeddings_are_concatenated_by_group():
    sparse = [
        SparseFeat(name, 3, 1, group_name=group)
        for name, group in (("a", "x"), ("b", "y"), ("c", "x"))
    ]
    hist = VarLenSparseFeat(SparseFeat("hist_a", 3, 1, embedding_name="a"), 2)
    model = DIN([*sparse, hist], ["a"], dnn_hidden_units=())
    for name, number in (("seq_emb_hist_a", 1), ("emb_b", 2), ("emb_c", 3)):
        table = model.get_layer(f"sparse_{name}").embeddings
        table.assign(np.full((3, 1), number))
    ones = {name: np.ones((1, 1)) for name in "abc"}
    row = dnn_input(model, ones | {"hist_a": np.zeros((1, 2))})
    assert row[0].tolist() == [1.0, 3.0, 2.0, 0.0]
