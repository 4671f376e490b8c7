"""`score_candidates`: the scores of several candidates for one user."""

import re

import keras
import numpy as np
import pytest

from kseq.agreement.numbers import seed_weights
from kseq.models import DIN, score_candidates
from tests.models.examples import (
    BY_NAME,
    CANDIDATE,
    CATE,
    ITEM,
    arrays,
    inputs_of,
    sequences,
    tags,
)

COUNT = 3
CANDIDATES = {"item": [1, 5, 7], "cate": np.array([[1], [4], [2]])}
COLUMN = {n: np.reshape(x, (COUNT, 1)) for n, x in CANDIDATES.items()}


def repeat(user):
    return {n: np.stack([x] * COUNT) for n, x in user.items()}


def user_features(model):
    """One user's features, with and without a batch axis."""
    features = {n: x[:1] for n, x in inputs_of(model).items()}
    features |= {"user": 3, "price": [0.5, 2.0], "label": "not an input"}
    return {n: x for n, x in features.items() if n not in CANDIDATE}


@pytest.fixture(scope="module")
def din():
    return BY_NAME["DIN"].make()


@pytest.mark.parametrize("name", ["DIN", "DIEN-AUGRU-negatives"])
def test_equals_a_batch_of_repeated_user_features(name):
    model = BY_NAME[name].make()
    row = {n: x[0] for n, x in inputs_of(model).items()}
    row |= {"user": np.array(3), "price": np.array([0.5, 2.0], "float32")}
    expected = model.predict_on_batch(repeat(row) | COLUMN)[:, 0]
    assert np.ptp(expected) > 0
    user = user_features(model)
    # Batches of this size are not padded: equal to the last bit.
    scores = score_candidates(model, user, CANDIDATES, batch_size=COUNT)
    np.testing.assert_array_equal(scores, expected)
    for batch_size in (2, 512):
        scores = score_candidates(
            model, user, CANDIDATES, batch_size=batch_size
        )
        np.testing.assert_allclose(scores, expected, rtol=1e-5)
    none = {"item": [], "cate": np.empty((0, 1), int)}
    assert score_candidates(model, user, none).shape == (0,)


@pytest.mark.once
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize(
    ("count", "batch_size", "plain", "compiled"),
    [
        (3, 1024, [3], [4]),
        (11, 4, [4, 4, 3], [4, 4, 4]),
        (9, 4, [4, 4, 1], [4, 4, 1]),
        (5, 6, [5], [6]),
        (0, 4, [0], [0]),
    ],
)
def test_compiled_batches_are_padded_to_powers_of_two(
    count, batch_size, plain, compiled, jit_compile, monkeypatch
):
    item = keras.Input((1,), name="item")
    model = keras.Model({"item": item}, keras.layers.Dense(1)(item))
    model.jit_compile = jit_compile
    batches = []

    def predict_on_batch(batch):
        batches.append(batch["item"])
        return batch["item"]

    monkeypatch.setattr(model, "predict_on_batch", predict_on_batch)
    ids = np.arange(count)
    scores = score_candidates(model, {}, {"item": ids}, batch_size=batch_size)
    np.testing.assert_array_equal(scores, ids)
    assert [len(x) for x in batches] == (compiled if jit_compile else plain)
    # Padding repeats the last candidate, whose id is valid.
    assert np.all(np.concatenate(batches)[count:] == count - 1)


def test_step_weights_of_any_shape_and_ids_as_floats():
    column = tags(weight_name="w", weight_norm=False)
    model = DIN([ITEM, CATE, column, *sequences("hist_")], CANDIDATE)
    seed_weights(model)
    user = {n: arrays()[n][0] for n in ("hist_item", "hist_cate", "tags")}
    user["w"] = np.array([[1.0], [-2.0], [3.0]], "float32")
    expected = model.predict_on_batch(repeat(user) | COLUMN)[:, 0]
    floats = {n: x.astype("float64") for n, x in COLUMN.items()}
    for shape in ((3,), (1, 3), (3, 1), (1, 3, 1)):
        user["w"] = user["w"].reshape(shape)
        scores = score_candidates(model, user, floats, batch_size=COUNT)
        np.testing.assert_array_equal(scores, expected)


INVALID = [
    (
        {"item": [1]},
        COLUMN,
        "each feature in one of them; received in both ['item",
    ),
    ({}, {"cate": [1, 4, 2]}, "user and candidates: expected all of ["),
    ({}, {"item": [1, 2], "cate": [1]}, "received {'item': 2, 'cate': 1}"),
    ({"item": 1, "cate": 1}, {}, "candidates: expected features of one"),
    ({"user": [1, 2]}, COLUMN, "user: expected shape (1, 1); received shape ("),
    (
        {"hist_item": np.ones((2, 4))},
        COLUMN,
        "hist_item: expected shape (1, 4)",
    ),
    (
        {"cate": 1},
        {"item": 1},
        "item: expected shape (None, 1); received shape",
    ),
    ({"user": "anna"}, COLUMN, "user: expected numbers; received dtype <U4"),
    ({"hist_item": [[1, 2], [3]]}, COLUMN, "expected numbers, as one array;"),
    ({"cate": 1}, {"item": [1, 1.7]}, "item: expected integers that int32"),
    ({"user": float("nan")}, COLUMN, "integers that int32 holds; received nan"),
    ({"cate": 1}, {"item": [2**31]}, "int32 holds; received 2147483648"),
]


@pytest.mark.once
@pytest.mark.parametrize(("user", "candidates", "message"), INVALID)
def test_invalid_features_raise(user, candidates, message, din):
    with pytest.raises(ValueError, match=re.escape(message)):
        score_candidates(din, user_features(din) | user, candidates)


@pytest.mark.once
def test_models_with_other_outputs_raise(din):
    hidden = din.get_layer("dnn").output
    for outputs in ([din.output, din.output], hidden):
        model = keras.Model(din.inputs, outputs)
        with pytest.raises(ValueError, match="received outputs of shapes"):
            score_candidates(model, {}, {})
