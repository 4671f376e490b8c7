"""Several candidates for one user."""

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
    over_time,
    tags,
)

COUNT = 3
CANDIDATES = {"item": [1, 5, 7], "cate": np.array([[1], [4], [2]])}


def user_of(model):
    """One user's features, with a batch of 1, and some without."""
    given = {n: x[:1] for n, x in inputs_of(model).items()}
    given["user"] = 3
    given["price"] = [0.5, 2.0]
    given["label"] = "no input of the model"
    return {n: x for n, x in given.items() if n not in CANDIDATE}


@pytest.mark.parametrize("name", ["DIN", "DIEN-AUGRU-negatives"])
def test_is_the_batch_that_one_would_make_by_hand(name):
    model = BY_NAME[name].make()
    rows = {
        "item": np.array([1, 5, 7]),
        "cate": np.array([1, 4, 2]),
        "user": np.full(COUNT, 3),
        "price": np.tile(np.array([0.5, 2.0], "float32"), (COUNT, 1)),
    }
    given = arrays()
    for symbol in model.inputs:
        if symbol.name not in rows:
            rows[symbol.name] = np.stack([given[symbol.name][0]] * COUNT)
    # Of so many rows, a batch is not filled up: equal to the last bit.
    scores = score_candidates(
        model, user_of(model), CANDIDATES, batch_size=COUNT
    )
    assert scores.shape == (COUNT,)
    assert np.ptp(scores) > 0
    expected = model.predict_on_batch(rows)[:, 0]
    np.testing.assert_array_equal(scores, expected)


MANY = {"item": [1, 5, 7, 2, 4], "cate": [1, 4, 2, 3, 1]}


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 5, 1024])
def test_the_size_of_batches_changes_no_score(batch_size):
    model = BY_NAME["DIN"].make()
    user = user_of(model)
    expected = [
        score_candidates(model, user, {n: [x[i]] for n, x in MANY.items()})[0]
        for i in range(5)
    ]
    scores = score_candidates(model, user, MANY, batch_size=batch_size)
    # Another number of rows may sum in another order.
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("count", "batch_size", "plain", "compiled"),
    [
        (3, 1024, [3], [4]),
        (4, 1024, [4], [4]),
        (11, 4, [4, 4, 3], [4, 4, 4]),
        (9, 4, [4, 4, 1], [4, 4, 1]),
        (5, 6, [5], [6]),
        (0, 4, [0], [0]),
    ],
)
@pytest.mark.parametrize("jit_compile", [False, True])
def test_batches(count, batch_size, plain, compiled, jit_compile, monkeypatch):
    item = keras.Input((1,), name="item")
    model = keras.Model({"item": item}, keras.layers.Dense(1)(item))
    model.jit_compile = jit_compile
    rows = []

    def predict_on_batch(batch):
        rows.append(len(batch["item"]))
        return batch["item"]

    monkeypatch.setattr(model, "predict_on_batch", predict_on_batch)
    ids = np.arange(count)
    scores = score_candidates(model, {}, {"item": ids}, batch_size=batch_size)
    np.testing.assert_array_equal(scores, ids)
    assert rows == (compiled if jit_compile else plain)


def test_no_candidates_have_no_scores():
    model = BY_NAME["DIN"].make()
    none = {"item": [], "cate": np.empty((0, 1), int)}
    assert score_candidates(model, user_of(model), none).shape == (0,)


def test_ids_may_come_as_whole_floats():
    model = BY_NAME["DIN"].make()
    floats = {n: np.array(x, "float64") for n, x in CANDIDATES.items()}
    np.testing.assert_array_equal(
        score_candidates(model, user_of(model), floats),
        score_candidates(model, user_of(model), CANDIDATES),
    )


REFUSED = [
    (
        {"item": [1]},
        {},
        "user and candidates: expected each feature in one of them; received "
        "in both ['item']",
    ),
    ({}, {"item": None}, "received neither with ['item']"),
    (
        {},
        {"item": [1, 2]},
        "candidates: expected features of one number of candidates; received "
        "{'item': 2, 'cate': 3}",
    ),
    (
        {"user": [1, 2]},
        {},
        "user: expected shape (1, 1); received shape (2,)",
    ),
    (
        {"hist_item": np.ones((2, 4))},
        {},
        "hist_item: expected shape (1, 4); received shape (2, 4)",
    ),
    (
        {},
        {"item": np.ones((3, 2))},
        "item: expected shape (None, 1); received shape (3, 2)",
    ),
    ({}, {"item": 1}, "item: expected shape (None, 1); received shape ()"),
    ({"user": "anna"}, {}, "user: expected numbers; received dtype <U4"),
    ({}, {"item": [1, None, 2]}, "item: expected numbers; received dtype obj"),
    (
        {"hist_item": [[1, 2], [3]]},
        {},
        "hist_item: expected numbers, as one array; received [[1, 2], [3]]",
    ),
    (
        {},
        {"item": [1, 1.7, 2]},
        "item: expected integers that int32 holds; received 1.7",
    ),
    (
        {"user": float("nan")},
        {},
        "user: expected integers that int32 holds; received nan",
    ),
    (
        {},
        {"item": [1, 2**31, 2]},
        "item: expected integers that int32 holds; received 2147483648",
    ),
]


@pytest.mark.parametrize(("user", "candidates", "said"), REFUSED)
def test_what_does_not_fit_is_refused(user, candidates, said):
    model = BY_NAME["DIN"].make()
    given = {
        n: x for n, x in (CANDIDATES | candidates).items() if x is not None
    }
    with pytest.raises(ValueError, match=re.escape(said)):
        score_candidates(model, user_of(model) | user, given)


def test_candidates_are_needed():
    model = BY_NAME["DIN"].make()
    one = {"item": 1, "cate": 1}
    with pytest.raises(ValueError, match="candidates: expected features of"):
        score_candidates(model, user_of(model) | one, {})


@pytest.mark.parametrize("shape", [(3,), (1, 3), (3, 1), (1, 3, 1)])
def test_a_user_s_weights_of_steps(shape):
    hist = over_time("hist_")
    column = tags(weight_name="w", weight_norm=False)
    model = DIN([ITEM, CATE, column, *hist], CANDIDATE, dnn_hidden_units=(2,))
    seed_weights(model)
    user = {n: arrays()[n][0] for n in ("hist_item", "hist_cate", "tags")}
    weights = np.array([1.0, -2.0, 3.0], "float32")
    rows = {n: np.stack([x] * COUNT) for n, x in user.items()}
    rows |= {n: np.reshape(x, (COUNT, 1)) for n, x in CANDIDATES.items()}
    rows["w"] = np.stack([weights] * COUNT)[..., None]
    expected = model.predict_on_batch(rows)[:, 0]
    user["w"] = weights.reshape(shape)
    np.testing.assert_array_equal(
        score_candidates(model, user, CANDIDATES, batch_size=COUNT), expected
    )


def two_outputs():
    model = BY_NAME["DIN"].make()
    return keras.Model(model.inputs, [model.output, model.output])


def two_numbers():
    model = BY_NAME["DIN"].make()
    return keras.Model(model.inputs, model.get_layer("dnn").output)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (two_outputs, "received outputs of shapes [(None, 1), (None, 1)]"),
        (two_numbers, "received outputs of shapes [(None, 3)]"),
        (lambda: "din.keras", "received 'din.keras'"),
        (lambda: keras.Sequential(), "received <Sequential"),
    ],
)
def test_a_model_of_one_score_is_needed(model, said):
    expected = "model: expected a Keras model of one output (batch, 1); "
    with pytest.raises(ValueError, match=re.escape(expected + said)):
        score_candidates(model(), {}, {})


@pytest.mark.parametrize("name", ["user", "candidates"])
def test_features_have_names(name):
    given = {"user": {}, "candidates": {}, name: [1, 2]}
    said = f"{name}: expected a dict of features by name; received [1, 2]"
    with pytest.raises(ValueError, match=re.escape(said)):
        score_candidates(BY_NAME["DIN"].make(), **given)
