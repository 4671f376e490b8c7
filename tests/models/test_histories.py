"""Models of several histories, of steps that are sets, and of numbers."""

import keras
import numpy as np
import pytest

from kseq.models import (
    BST,
    DIEN,
    DIN,
    attention_weights,
    score_candidates,
    split_model,
)
from tests.arrays import to_numpy
from tests.layers.checks import assert_close
from tests.models.examples import (
    CANDIDATE,
    DIMS,
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
from tests.models.test_lists import PLACES, ROWS, as_rows, lists

ATTENTION = "attention_sequence_pooling_layer"
PREFIXES = ("hist_", "cart_")
CART_STEPS = 3
CART_LENGTHS = np.array([0, 3, 1, 2, 3])
BUILDERS = [
    (DIN, {"att_hidden_size": (4, 2)}),
    (DIN, {"att_hidden_size": (4, 2), "share_attention": True}),
    (DIEN, dien("GRU")),
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
    layers = {layer.name: layer for layer in source.layers}
    for layer in target.layers:
        name = layer.name.replace("hist_", "cart_")
        for name_of_second in (name + suffix, f"{name}_0{suffix}"):
            name = name_of_second if name_of_second in layers else name
        if layer.weights and not name.startswith("dnn"):
            layer.set_weights(layers[name].get_weights())


@pytest.mark.parametrize(("build", "options"), BUILDERS)
def test_each_history_has_the_interest_of_a_model_of_its_own(build, options):
    model = two_histories(build, **options)
    options = {"seed": 1} | options
    expected = []
    for prefix, suffix in zip(PREFIXES, ("", "_1"), strict=True):
        one = two_histories(build, [prefix], **options)
        copy_weights(model, one, suffix)
        expected.append(dnn_input(one, cart_arrays()))
    width = sum(DIMS[name] for name in CANDIDATE)
    expected[1] = expected[1][..., -width:]
    assert not np.allclose(expected[0][..., -width:], expected[1])
    got = dnn_input(model, cart_arrays())
    assert_close(got, np.concatenate(expected, axis=-1))
    longer = two_histories(build, steps=CART_STEPS + 2, **options)
    if build is not BST:  # whose positions are weights
        longer.set_weights(model.get_weights())
        scores = predict(longer, cart_arrays(CART_STEPS + 2))
        assert_close(scores, predict(model, cart_arrays()))


@pytest.mark.parametrize(("build", "options"), BUILDERS)
def test_several_histories_and_candidates(build, options):
    one = two_histories(build, **options)
    many = two_histories(build, num_candidates=None, **options)
    features = cart_arrays() | {n: lists()[n] for n in CANDIDATE}
    expected = predict(one, as_rows(features))[:, 0]
    assert_close(predict(many, features)[ROWS, PLACES], expected)
    user, candidates = split_model(one)
    state = user(inputs_of(user, features))
    state = {name: to_numpy(x) for name, x in state.items()}
    scores = predict(candidates, features | state)
    assert_close(scores[ROWS, PLACES], expected)
    mine = {n: features[n][0] for n in CANDIDATE}
    mine_only = {x.name: features[x.name][0] for x in user.inputs}
    assert_close(score_candidates(one, mine_only, mine), scores[0])


def test_attention_weights_of_several_histories():
    model = two_histories(DIN, **BUILDERS[0][1])
    weights = attention_weights(model, cart_arrays())
    assert [*weights] == [ATTENTION, f"{ATTENTION}_1"]
    valid = np.arange(CART_STEPS) < CART_LENGTHS[:, None]
    np.testing.assert_array_equal(weights[f"{ATTENTION}_1"][:, 0] != 0, valid)
    with pytest.raises(ValueError, match=r"^model: expected one call"):
        attention_weights(two_histories(DIN, **BUILDERS[1][1]), cart_arrays())


@pytest.mark.once
def test_a_missing_history_raises():
    with pytest.raises(ValueError, match=r"none for \['buy_cate', 'buy_item'"):
        make(DIN, *sequences("hist_"), history_prefixes=("hist_", "buy_"))


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
