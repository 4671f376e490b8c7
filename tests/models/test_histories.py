"""Models of several histories, of steps that are sets, and of numbers."""

import dataclasses

import keras
import numpy as np
import pytest

from kseq.agreement.numbers import seed_weights
from kseq.feature_column import (
    DenseFeat,
    SparseFeat,
    VarLenDenseFeat,
    VarLenSparseFeat,
)
from kseq.models import BST, DIEN, DIN, DSIN
from tests.models.examples import (
    BATCH,
    CANDIDATE,
    DIMS,
    ITEM,
    LENGTHS,
    STEPS,
    USER_AND_CANDIDATE,
    arrays,
    dien,
    inputs_of,
    make,
    padded_ids,
    predict,
    sequences,
    tags,
)
from tests.models.test_lists import COUNT, assert_scores_agree, lists
from tests.support import assert_close, once, to_numpy

pytestmark = pytest.mark.once

ATTENTION = "attention_sequence_pooling_layer"
PREFIXES = ("hist_", "cart_")
CART_STEPS = 3
CART_LENGTHS = np.array([0, 3, 1, 2, 3])
BUILDERS = [
    (DIN, {"att_hidden_size": (4, 2)}),
    (DIN, {"att_hidden_size": (4, 2), "share_attention": True}),
    (DIEN, dien("AUGRU", use_negsampling=True)),
    (BST, {}),
]


def cart_arrays(steps=CART_STEPS):
    found = arrays() | {"cart_length": CART_LENGTHS}
    for prefix in ("cart_", "neg_cart_"):
        for name in CANDIDATE:
            ids = padded_ids(prefix + name, CART_LENGTHS, CART_STEPS)
            padding = ((0, 0), (0, steps - CART_STEPS))
            found[prefix + name] = np.pad(ids, padding)
    return found


def two_histories(build, prefixes=PREFIXES, steps=CART_STEPS, **options):
    """A model of histories of different lengths, and of other sequences."""
    columns = [*USER_AND_CANDIDATE[:1], tags()]
    for prefix in prefixes:
        name = "seq_length" if prefix == "hist_" else "cart_length"
        maxlen = STEPS if prefix == "hist_" else steps
        for first in ("", "neg_") if build is DIEN else ("",):
            columns += sequences(first + prefix, maxlen, length_name=name)
    options = {"dnn_hidden_units": (4,), "dnn_activation": "tanh", **options}
    return make(build, *columns, history_prefixes=prefixes, **options)


def dnn_input(model, features):
    x = keras.Model(model.inputs, [model.get_layer("dnn").input, model.output])
    return to_numpy(x(inputs_of(model, features))[0])


def copy_weights(source, target, suffix):
    """Set the weights of a model of one history."""
    for layer in target.layers:
        name = layer.name
        if name.startswith("sparse"):
            name = name.replace("hist_", "cart_")
        elif suffix:
            name = name.replace("transformer", "transformer_0") + suffix
        if layer.weights and not name.startswith(("dnn", "dense", "pred")):
            layer.set_weights(source.get_layer(name).get_weights())


@pytest.mark.parametrize(
    ("build", "options"),
    [BUILDERS[2], *(once(*b) for b in BUILDERS[:2]), once(*BUILDERS[3])],
)
def test_each_history_has_the_interest_of_a_model_of_its_own(build, options):
    model = two_histories(build, **options)
    got = dnn_input(model, cart_arrays())
    auxiliary = [to_numpy(x) for x in model.losses]
    options = {"seed": 1} | options
    expected = []
    for i, (prefix, suffix) in enumerate((("hist_", ""), ("cart_", "_1"))):
        one = two_histories(build, [prefix], **options)
        copy_weights(
            model, one, "" if options.get("share_attention") else suffix
        )
        expected.append(dnn_input(one, cart_arrays()))
        assert_close(auxiliary[i : i + 1], [to_numpy(x) for x in one.losses])
    width = sum(DIMS[name] for name in CANDIDATE)
    expected[1] = expected[1][..., -width:]
    assert not np.allclose(expected[0][..., -width:], expected[1])
    assert_close(got, np.concatenate(expected, axis=-1))
    longer = two_histories(build, steps=CART_STEPS + 2, **options)
    if build is not BST:  # whose positions are weights
        longer.set_weights(model.get_weights())
        scores = predict(longer, cart_arrays(CART_STEPS + 2))
        assert_close(scores, predict(model, cart_arrays()))


@pytest.mark.parametrize(
    ("build", "options"), [BUILDERS[1], *(once(*b) for b in BUILDERS[2:])]
)
def test_several_histories_and_candidates(build, options):
    one = two_histories(build, **options)
    many = two_histories(build, num_candidates=None, **options)
    features = cart_arrays() | {n: lists()[n] for n in CANDIDATE}
    assert_scores_agree(one, many, features)


def test_a_missing_history_raises():
    with pytest.raises(ValueError, match=r"none for \['buy_cate', 'buy_item'"):
        make(DIN, *sequences("hist_"), history_prefixes=("hist_", "buy_"))


GENRES, VALUES = 7, 3
SESSION = {
    "prefix": "sess_0_",
    "sess_max_count": 1,
    "mask_padding": True,
    "pool_others": True,
    "att_head_num": 2,
    "att_embedding_size": 5,
}
TRANSFORM = {"transform_fn": lambda x: (x - 1.0) / 2.0}


def sets(name, steps, combiner, values=None):
    ids = SparseFeat(name, GENRES, 3, embedding_name="genres")
    return VarLenSparseFeat(ids, steps, combiner, "seq_length", values=values)


def model_of_sets(build=DIN, combiner="mean", prefix="hist_", **options):
    """A model of films with sets of genres and with numbers."""
    names = ["item", "genres", "price"]
    columns = [
        *[ITEM, sets("genres", VALUES, combiner)],
        DenseFeat("price", 2, **TRANSFORM),
        *[sequences(prefix, length_name="seq_length")[0]],
        sets(f"{prefix}genres", STEPS, combiner, VALUES),
        VarLenDenseFeat(f"{prefix}price", STEPS, 2),
        *[tags(), sets("seen", 2, combiner, VALUES)],
    ]
    # The candidate's set has no lengths.
    columns[1] = dataclasses.replace(columns[1], length_name=None)
    columns[-1] = dataclasses.replace(columns[-1], length_name=None)
    options = {"dnn_hidden_units": (4,), "dnn_activation": "tanh", **options}
    model = build(columns, names, **options)
    seed_weights(model)
    return model


def films(count=1):
    """Features of users and of candidates; the last steps are padding."""
    draw = np.random.default_rng(6)
    found = arrays() | {"sess_length": np.minimum(LENGTHS, 1)}
    valid = found["hist_item"][..., None] != 0
    ids = draw.integers(0, GENRES, (BATCH, STEPS, VALUES))
    ids[..., 1] = np.maximum(ids[..., 1], 1)
    found["hist_genres"] = ids * valid
    found["hist_genres"][0, 1] = 0
    found["hist_price"] = draw.normal(size=(BATCH, STEPS, 2))
    found["seen"] = draw.integers(0, GENRES, (BATCH, 2, VALUES))
    found["seen"][0, 1] = 0
    found["item"] = draw.integers(1, 12, (BATCH, count))
    found["genres"] = draw.integers(0, GENRES, (BATCH, count, VALUES))
    found["genres"][..., 2] = 1
    found["price"] = draw.normal(size=(BATCH, count, 2))
    for n in ("item", "genres", "price"):
        found[f"sess_0_{n}"] = found[f"hist_{n}"]
    return {n: x.astype("float32") if x.dtype == float else x
            for n, x in found.items()}  # fmt: skip


def pool(ids, table, combiner):
    """The embeddings of ids other than 0, pooled, 0 for none."""
    valid = (ids != 0)[..., None]
    if combiner == "max":
        top = np.where(valid, table[ids], -np.inf).max(-2)
        return np.where(valid.any(-2), top, 0)
    return (table[ids] * valid).sum(-2) / np.maximum(valid.sum(-2), 1)


@pytest.mark.parametrize("combiner", ["mean", once("max")])
def test_steps_that_are_sets_and_numbers(combiner, tmp_path):
    model = model_of_sets(combiner=combiner)
    model.save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras")
    features = films()
    attention, dnn = model.get_layer(ATTENTION), model.get_layer("dnn")
    tensors = [*attention.input, dnn.input, model.output]
    query, keys, valid, x, _ = map(
        to_numpy, keras.Model(model.inputs, tensors)(inputs_of(model, features))
    )
    items, genres = (
        model.get_layer(f"sparse_seq_emb_{n}").get_weights()[0]
        for n in ("hist_item", "seen")
    )
    for got, prefix in ((query, ""), (keys, "hist_")):
        ids = features[prefix + "genres"]
        numbers = (features[prefix + "price"] - 1) / 2
        parts = [items[features[prefix + "item"]], pool(ids, genres, combiner)]
        assert_close(got, np.concatenate([*parts, numbers], -1))
    has_genres = features["hist_genres"].any(-1)
    np.testing.assert_array_equal(
        valid, has_genres & (features["hist_item"] != 0)
    )
    seen = pool(features["seen"], genres, combiner)
    has_any = features["seen"].any(-1)[..., None]
    if combiner == "max":
        seen = np.where(has_any, seen, -np.inf).max(1)
        seen = np.where(has_any.any(1), seen, 0)
    else:
        seen = (seen * has_any).sum(1) / np.maximum(has_any.sum(1), 1)
    # The DNN's input ends with this, the interest (10) and the price (2).
    assert_close(x[:, 0, -15:-12], seen)


@pytest.mark.parametrize(
    ("build", "options"),
    [(DIN, {}), once(BST, {"att_head_num": 2}), once(DSIN, SESSION)],
)
def test_sets_and_numbers_of_candidates(build, options):
    one = model_of_sets(build, **options)
    many = model_of_sets(build, num_candidates=None, **options)
    features, names = films(COUNT), ("item", "genres", "price")
    scores = assert_scores_agree(one, many, features, names)
    # Padding and the order within a set have no effect.
    other = dict(features)
    padded = np.arange(STEPS) >= LENGTHS[:, None]
    other["hist_price"] = np.where(padded[..., None], 9, other["hist_price"])
    other["hist_genres"] = np.flip(other["hist_genres"], -1)
    for n in ("genres", "price"):
        other[f"sess_0_{n}"] = other[f"hist_{n}"]
    other["genres"] = np.flip(other["genres"], -1)
    assert_close(predict(many, other), scores)
    many.compile("sgd", "binary_crossentropy")
    x = inputs_of(many, features)
    padding = {n: np.pad(x[n], ((0, 0), (0, 2)) + ((0, 0),) * (x[n].ndim - 2))
               for n in names}  # fmt: skip
    losses = [
        many.evaluate(x | more, np.ones((BATCH, n)), verbose=0)
        for more, n in (({}, COUNT), (padding, COUNT + 2))
    ]
    assert_close(*losses)


@pytest.mark.parametrize(
    ("columns", "names", "message"),
    [
        ([DenseFeat("price")], ["price"], "history_feature_list: .* with ids"),
        ([ITEM, DenseFeat("p")], ["item", "p"], r"none for \['hist_p'\]"),
        ([ITEM, VarLenDenseFeat("hist_p", 4)], ["item"], "dnn_.*'hist_p'"),
        (
            [ITEM, DenseFeat("p", 2), VarLenDenseFeat("hist_p", 4)],
            *(["item", "p"], "dimension: expected the same .*'hist_p': 1"),
        ),
        (
            [ITEM, DenseFeat("p"), VarLenDenseFeat("hist_p", 3)],
            *(["item", "p"], "maxlen: expected one .*'hist_p': 3"),
        ),
        (
            [ITEM, DenseFeat("p"), VarLenDenseFeat("hist_p", None)],
            *(["item", "p"], "maxlen: expected one .*'hist_p': None"),
        ),
    ],
)
def test_invalid_columns_raise(columns, names, message):
    with pytest.raises(ValueError, match=f"{message}"):
        DIN([*columns, sequences("hist_")[0]], names)


def test_options_of_the_scorer():
    """Each has the effect that it has in the attention layer."""
    options = {"att_dropout": 0.5, "att_use_bn": True, "l2_reg_att": 0.1}
    model = two_histories(
        DIN, att_hidden_size=(4, 2), l2_reg_embedding=0, seed=1, **options
    )
    features = cart_arrays() | {n: arrays()[n][:, None] for n in CANDIDATE}
    inputs = {
        name: keras.ops.convert_to_tensor(x)
        for name, x in inputs_of(model, features).items()
    }
    scorers = [model.get_layer(ATTENTION + s).local_att for s in ("", "_1")]
    kernels = [to_numpy(k) for s in scorers for k in s.dnn.kernels]
    model(inputs, training=True)
    expected = 0.1 * sum((k**2).sum() for k in kernels)
    assert_close(sum(map(to_numpy, model.losses)), expected)
    for scorer in scorers:
        mean = to_numpy(scorer.dnn.bn_layers[0].moving_mean)
        assert np.abs(mean).max() > 0
        assert [x.rate for x in scorer.dnn.dropout_layers] == [0.5, 0.5]
