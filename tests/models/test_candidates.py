"""The scores of candidates for one user, and the weights of a history."""

import keras
import numpy as np
import pytest

from kseq.models import attention_weights, score_candidates
from kseq.models.candidates import split
from tests.models.examples import (
    BY_NAME,
    LENGTHS,
    STEPS,
    arrays,
    inputs_of,
    predict,
)
from tests.support import assert_close, to_numpy

pytestmark = pytest.mark.once


COUNT = 3
CANDIDATES = {"item": [1, 5, 7], "cate": np.array([[1], [4], [2]])}


def user_features(model):
    """One user's features, with and without a batch axis."""
    features = {n: x[:1] for n, x in inputs_of(model).items()}
    features |= {"user": 3, "price": [0.5, 2.0], "label": "not an input"}
    return {n: x for n, x in features.items() if n not in CANDIDATES}


@pytest.mark.parametrize("name", ["DIN", "DIEN-AUGRU-negatives"])
def test_equals_a_batch_of_repeated_user_features(name):
    model = BY_NAME[name].make()
    batch = {n: np.stack([x[0]] * COUNT) for n, x in inputs_of(model).items()}
    batch |= {n: np.reshape(x, (COUNT, 1)) for n, x in CANDIDATES.items()}
    batch |= {
        "user": np.full(COUNT, 3),
        "price": np.tile([0.5, 2.0], (COUNT, 1)),
    }
    expected = model.predict_on_batch(batch)[:, 0]
    assert np.ptp(expected) > 0
    user = user_features(model)
    for size in (2, COUNT, 512):
        scores = score_candidates(model, user, CANDIDATES, batch_size=size)
        np.testing.assert_allclose(scores, expected, rtol=1e-5)
    none = {"item": [], "cate": np.empty((0, 1), int)}
    assert score_candidates(model, user, none).shape == (0,)


@pytest.mark.parametrize(
    ("jit_compile", "count", "batch_size", "sizes"),
    [
        (False, 11, 4, [4, 4, 3]),
        (True, 11, 4, [4, 4, 4]),
        (True, 3, 1024, [4]),
        (True, 5, 6, [6]),
        (True, 0, 4, [0]),
    ],
)
def test_compiled_batches_are_padded_to_powers_of_two(
    jit_compile, count, batch_size, sizes, monkeypatch
):
    item = keras.Input((1,), name="item")
    model = keras.Model({"item": item}, keras.layers.Dense(1)(item))
    model.jit_compile = jit_compile
    batches = []
    monkeypatch.setattr(
        model, "predict_on_batch", lambda x: batches.append(x["item"]) or x
    )
    ids = np.arange(count)
    scores = score_candidates(model, {}, {"item": ids}, batch_size=batch_size)
    np.testing.assert_array_equal(scores, ids)
    assert [len(x) for x in batches] == sizes
    # Padding repeats the last candidate, whose id is valid.
    assert np.all(np.concatenate(batches)[count:] == count - 1)


@pytest.mark.parametrize(
    ("name", "count", "padded"),
    [("DIN", 1, 4), ("DIN", None, 4), ("BST", 1, 4), ("DSIN-bias", 1, 3)],
)
def test_histories_of_any_length_are_padded_if_compiled(name, count, padded):
    """Unless padding has an effect; the scores stay the same."""
    model = BY_NAME[name].unknown_steps(num_candidates=count)
    sequences = [
        x.name
        for x in model.inputs
        if x.shape[1] is None and x.name not in CANDIDATES
    ]
    user = {
        n: x[1:2] for n, x in inputs_of(model).items() if n not in CANDIDATES
    }
    user |= {n: user[n][:, :3] for n in sequences}
    expected = score_candidates(model, user, CANDIDATES)
    lengths = set()
    part = split(model).user

    def predict_on_batch(batch):
        lengths.update(batch[n].shape[1] for n in sequences)
        return {n: to_numpy(x) for n, x in part(batch).items()}

    part.predict_on_batch = predict_on_batch
    model.jit_compile = True
    got = score_candidates(model, user, CANDIDATES)
    assert lengths == {padded}
    assert_close(got, expected)


INVALID = [
    ({"item": [1]}, CANDIDATES, "each feature in one .* in both .'item"),
    ({}, {"cate": [1, 4, 2]}, "user and candidates: expected all of"),
    ({}, {"item": [1, 2], "cate": [1]}, "received {'item': 2, 'cate': 1}"),
    ({"item": 1, "cate": 1}, {}, "candidates: expected features of one"),
    ({"user": [1, 2]}, CANDIDATES, r"user: expected shape \(1, 1\)"),
    ({"user": None}, CANDIDATES, "user: .* without .* received None$"),
    ({"cate": 1}, {"item": 1}, r"item: expected shape \(None, 1\)"),
]


@pytest.mark.parametrize(("user", "candidates", "message"), INVALID)
def test_invalid_features_raise(user, candidates, message):
    din = BY_NAME["DIN"].make()
    with pytest.raises(ValueError, match=message):
        score_candidates(din, user_features(din) | user, candidates)


# Attention weights

LAYER = "attention_sequence_pooling_layer"


def own_loss(y, p):
    return keras.ops.mean(keras.ops.square(y - p))


@pytest.mark.parametrize("name", ["DIN", "DIEN-AUGRU-negatives", "BST"])
def test_weights_of_a_trained_model(name):
    model = BY_NAME[name].make()
    # Keras could not compile a copy with this loss.
    model.compile("adam", own_loss)
    before = predict(model)
    (weights,) = attention_weights(model, arrays()).values()
    assert weights.shape == (len(LENGTHS), 1, STEPS)
    padded = np.arange(STEPS) >= LENGTHS[:, None]
    assert np.all(weights[:, 0][padded] == 0)
    assert np.all(weights[:, 0][~padded] != 0)
    if name != "DIN":  # normalized
        total = weights.sum(axis=-1)[:, 0]
        np.testing.assert_allclose(total, LENGTHS > 0, rtol=1e-5)
    np.testing.assert_array_equal(predict(model), before)


def test_the_weights_pool_the_history():
    model = BY_NAME["DIN"].make()
    layer = model.get_layer(LAYER)
    weights = attention_weights(model, arrays())[LAYER]
    # All inputs are connected to the output, as Keras 3.12 requires.
    tensors = keras.Model(
        model.inputs, [*layer.input, layer.output, model.output]
    )
    features = {x.name: arrays()[x.name] for x in model.inputs}
    _, keys, valid, pooled, _ = (
        keras.ops.convert_to_numpy(x) for x in tensors(features)
    )
    np.testing.assert_allclose(
        weights @ (keys * valid[..., None]), pooled, rtol=1e-4, atol=1e-6
    )
