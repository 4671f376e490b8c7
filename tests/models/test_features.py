"""From columns to embeddings: tables, masks, pooling, and invalid columns."""

import keras
import numpy as np
import pytest

from kseq.agreement.numbers import seed_weights
from kseq.feature_column import (
    DenseFeat,
    SparseFeat,
    VarLenSparseFeat,
    get_feature_names,
)
from kseq.models import DIEN, DIN, DSIN
from tests.arrays import to_numpy
from tests.layers.checks import assert_close
from tests.models.examples import (
    BATCH,
    BY_NAME,
    CANDIDATE,
    CATE,
    ITEM,
    PRICE,
    SIZES,
    USER,
    arrays,
    columns,
    predict,
    sequences,
    tags,
)

HISTORY = sequences("hist_")


def dnn_input(model, features=None):
    """What the DNN reads."""
    x = model.get_layer("dense").input
    return predict(keras.Model(model.inputs, x), features)


@pytest.mark.once
def test_a_table_has_the_options_of_its_last_column():
    options = {"embedding_name": "item", "trainable": False}
    twos = keras.initializers.Constant(2.0)
    frozen = SparseFeat(
        "hist_item", 12, 5, embeddings_initializer=twos, **options
    )
    history = [VarLenSparseFeat(frozen, 4), HISTORY[1]]
    model = DIN([ITEM, CATE, *history], CANDIDATE)
    table = model.get_layer("sparse_seq_emb_hist_item")
    assert not table.trainable
    assert set(to_numpy(table.embeddings.value).ravel()) == {2.0}
    other = model.get_layer("sparse_seq_emb_hist_cate")
    assert other.trainable
    assert 0 < np.abs(to_numpy(other.embeddings.value)).max() < 1e-3


@pytest.mark.once
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


@pytest.mark.parametrize("combiner", ["sum", "mean", "max"])
@pytest.mark.parametrize("length_name", [None, "tags_length"])
@pytest.mark.parametrize("weight_name", [None, "w"])
def test_other_sequences_are_pooled(combiner, length_name, weight_name):
    options = {"length_name": length_name, "weight_name": weight_name}
    column = tags(combiner=combiner, weight_norm=False, **options)
    model = DIN([ITEM, CATE, column, *HISTORY], CANDIDATE, dnn_hidden_units=())
    seed_weights(model)
    given = arrays() | {
        "tags_length": np.array([1, 2, 3, 0, 1]),
        "w": np.random.default_rng(3).normal(size=(BATCH, 3, 1)),
    }
    # After the candidate's 5 + 3 numbers, the 2 of the tags.
    got = dnn_input(model, given)[:, 8:10]
    table = model.get_layer("sparse_seq_emb_tags").embeddings.value
    x = to_numpy(table).astype("float64")[given["tags"]]
    valid = given["tags"] != 0
    if length_name:
        valid = np.arange(3) < given["tags_length"][:, None]
    if weight_name:
        x = x * given["w"]
    for i in range(BATCH):
        steps = x[i][valid[i]]
        pooled = getattr(np, combiner)(steps, axis=0) if len(steps) else 0
        np.testing.assert_allclose(got[i], pooled, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", ["DIN", "DSIN"])
def test_a_step_is_valid_where_no_feature_is_0(name):
    model = BY_NAME[name].make()
    prefix = "hist_" if name == "DIN" else "sess_0_"
    given = arrays()
    given[f"{prefix}cate"][0, 1] = 0
    other = {key: x.copy() for key, x in given.items()}
    other[f"{prefix}item"][0, 1] = SIZES["item"] - given[f"{prefix}item"][0, 1]
    np.testing.assert_array_equal(predict(model, other), predict(model, given))
    other[f"{prefix}cate"][0, 1] = 1
    assert np.abs(predict(model, other) - predict(model, given)).max() > 1e-5


@pytest.mark.once
def test_inputs_are_the_features_that_the_model_uses():
    din, bst = (
        [x.name for x in BY_NAME[n].make().inputs] for n in ("DIN", "BST")
    )
    assert bst == get_feature_names(columns())
    assert din == [name for name in bst if name != "seq_length"]


def test_history_lengths():
    """The input of `length_name`, or as in DeepCTR any "seq_length"."""
    given = [ITEM, CATE, *HISTORY, tags(length_name="seq_length")]
    model = DIEN(given, CANDIDATE, "AUGRU", dnn_hidden_units=(4,))
    seed_weights(model)
    other = arrays()
    other["hist_item"] = np.maximum(other["hist_item"], 1)
    np.testing.assert_array_equal(predict(model, other), predict(model))
    other["seq_length"] = np.ones_like(other["seq_length"])
    assert np.abs(predict(model, other) - predict(model)).max() > 1e-5
    two = [sequences("hist_", length_name=n)[i] for i, n in enumerate("mn")]
    for history, names in ((HISTORY, r"\[\]"), (two, r"\['m', 'n'\]")):
        with pytest.raises(ValueError, match=f"^length_name: .*ed {names}"):
            DIEN([ITEM, CATE, *history], CANDIDATE)


@pytest.mark.once
def test_a_history_in_another_order_warns():
    with pytest.warns(UserWarning, match="another order"):
        DIN([ITEM, CATE, *HISTORY[::-1]], CANDIDATE)


@pytest.mark.once
@pytest.mark.parametrize("build", [DIN, DIEN, DSIN])
def test_a_history_without_the_candidate_s_table_warns(build):
    options = {"att_head_num": 1, "att_embedding_size": 8, "sess_max_count": 1}
    options, name = (
        (options, "sess_0_item") if build is DSIN else ({}, "hist_item")
    )

    def make(dim):
        ids = SparseFeat(name, 12, dim)
        history = VarLenSparseFeat(ids, 4, length_name="n")
        build([SparseFeat("item", 12, 8), history], ["item"], **options)

    match = r"embedding_name=\['item'\]"
    with pytest.warns(UserWarning, match=match) as warned:
        make(8)
    assert [w.filename for w in warned] == [__file__]
    with pytest.raises(ValueError, match=r"^embedding_dim: .*_item': 6, 'item"):
        make(6)


WIDE = SparseFeat("hist_item", 12, 7, embedding_name="item")
INVALID = [
    ([SparseFeat("item", 12, 5, use_hash=True), CATE, *HISTORY],
     "use_hash of 'item': expected False, .*num_buckets=12, mask_zero=True"),
    ([SparseFeat("user", 6, use_hash=True), *columns()[1:]],
     "use_hash of 'user': .*num_buckets=6, mask_zero=False"),
    ([SparseFeat("item", 12, 5, dtype="string"), CATE, *HISTORY],
     "dtype of 'item': expected a numeric dtype, .*hash_ids"),
    ([SparseFeat("user", 6, vocabulary_path="users.csv"), *columns()[1:]],
     "vocabulary_path of 'user': expected None, .*csv.reader"),
    ([ITEM, CATE, HISTORY[1]],
     r"one VarLenSparseFeat for each .*received none for \['hist_item'\]"),
    ([ITEM, *columns()],
     r"one SparseFeat for each .*received more than one for \['item'\]"),
    ([ITEM, CATE, VarLenSparseFeat(WIDE, 4), HISTORY[1]],
     "embedding_dim: expected one for all columns of embedding_name 'item'"),
    ([ITEM, CATE, HISTORY[0], sequences("hist_", 3)[1]],
     "maxlen: expected one for all .*{'hist_item': 4, 'hist_cate': 3}"),
]  # fmt: skip


@pytest.mark.once
@pytest.mark.parametrize(("given", "message"), INVALID)
def test_invalid_columns_raise(given, message):
    with pytest.raises(ValueError, match=message):
        DIN(given, CANDIDATE)


CONTRADICTIONS = [
    ("BST", {"att_head_num": 3}, "att_head_num: expected a divisor"),
    ("BST", {"steps": None}, "max_steps: expected"),
    ("DSIN", {"steps": None}, "max_steps: expected"),
    ("DSIN-bias", {"steps": None}, "max_steps: expected"),
    ("DSIN", {"att_head_num": 3}, "att_head_num: .* candidate's embedding"),
    ("DSIN", {"sess_max_count": 3}, "none for .*'sess_2_cate'"),
    ("DIEN-GRU", {"use_negsampling": True}, "none for .*'neg_hist_cate'"),
]


@pytest.mark.once
@pytest.mark.parametrize(("name", "options", "message"), CONTRADICTIONS)
def test_arguments_that_contradict_the_columns_raise(name, options, message):
    with pytest.raises(ValueError, match=message):
        BY_NAME[name].make(**options)


def price_model(transform_fn):
    price = DenseFeat("price", 2, transform_fn=transform_fn)
    return DIN([price, ITEM, CATE, *HISTORY], CANDIDATE, dnn_hidden_units=())


def test_dense_features_are_transformed():
    expected = arrays()["price"].astype("float64")
    for transform_fn, factor in ((lambda x: x, 1), (lambda x: x / 2, 0.5)):
        got = dnn_input(price_model(transform_fn))[:, -2:]
        assert_close(got, expected * factor)
    # One layer may transform two columns.
    scale = keras.layers.Rescaling(0.5, name="scale")
    both = [DenseFeat(name, transform_fn=scale) for name in ("a", "b")]
    model = DIN([*both, USER, PRICE, ITEM, CATE, *HISTORY], CANDIDATE)
    assert model.get_layer("scale") is scale


TRANSFORMS = [
    (lambda x: None, "a tensor .*; received None"),
    (lambda x: x[:, 0], r"a tensor .*; received shape \(None,\)"),
    (lambda x: keras.ops.mean(x, 0, keepdims=True), r"received shape \(1, 2\)"),
    (
        keras.layers.Dense(2, name="dense"),
        r"'price_dense'\)`; received 'dense'",
    ),
    (
        keras.layers.Dense(2, name="sparse_seq_emb_hist_item"),
        "received 'sparse",
    ),
    (keras.layers.Dense(2, name="price"), "layers of different names"),
    (lambda x: keras.Input((2,)), "a function of its input"),
]


@pytest.mark.once
@pytest.mark.parametrize(("transform_fn", "message"), TRANSFORMS)
def test_invalid_transforms_raise(transform_fn, message):
    with pytest.raises(ValueError, match=f"^transform_fn .*{message}"):
        price_model(transform_fn)
