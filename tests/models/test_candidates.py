"""Several candidates for one user."""

import re

import numpy as np
import pytest

from kseq.models import score_candidates
from tests.models.examples import BY_NAME, CANDIDATE, arrays, inputs_of

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
    scores = score_candidates(model, user_of(model), CANDIDATES)
    assert scores.shape == (COUNT,)
    assert np.ptp(scores) > 0
    expected = model.predict_on_batch(rows)[:, 0]
    np.testing.assert_array_equal(scores, expected)


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
        "user: expected shape (1, 1); received shape (1, 2)",
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
