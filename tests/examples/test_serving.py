"""The ranking service: the ranking and the HTTP answers.

`examples/serve_din.py` exports a model and compares it.
"""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

from serving.ranker import Items, Ranker, UnknownItems

pytestmark = pytest.mark.once

STEPS = 4
ITEMS = Items(
    ids=["", *"abcdefgh"],
    titles=["", *"ABCDEFGH"],
    features={"item": list(range(9)), "kind": [0, 1, 2, 3, 1, 2, 3, 1, 2]},
    steps=STEPS,
)


def needs(*modules):
    missing = [m for m in modules if importlib.util.find_spec(m) is None]
    reason = f"{missing}: installed by tox run -e serving"
    return pytest.mark.skipif(bool(missing), reason=reason)


SCORED = {}  # the last inputs of the scorer


def score(features):
    SCORED.update(features)
    return features["item"] / 10.0


RANKER = Ranker(ITEMS, score)


def test_candidates_get_their_features_and_are_ranked():
    ranking = RANKER.rank(["a", "d"], ["c", "g", "b"])
    assert ranking.items == ["g", "c", "b"]
    np.testing.assert_allclose(ranking.scores, [0.7, 0.3, 0.2])
    assert {k: x.tolist() for k, x in SCORED.items()} == {
        "item": [[3, 7, 2]],
        "kind": [[3, 1, 2]],
        "hist_item": [[1, 4, 0, 0]],
        "hist_kind": [[1, 1, 0, 0]],
    }
    assert {x.dtype for x in SCORED.values()} == {np.dtype("int32")}


@pytest.mark.parametrize(
    ("history", "expected", "steps", "unknown"),
    [
        ("abcdef", [3, 4, 5, 6], 4, []),  # the last steps
        ("", [0, 0, 0, 0], 0, []),
        (["a", "new", "b", ""], [1, 2, 0, 0], 2, ["new", ""]),
    ],
)
def test_history(history, expected, steps, unknown):
    ranking = RANKER.rank(list(history), ["h"])
    assert SCORED["hist_item"].tolist() == [expected]
    assert ranking.steps == steps
    assert ranking.unknown == unknown


def test_unknown_candidates_raise():
    with pytest.raises(UnknownItems, match="unknown candidates: new"):
        RANKER.rank(["a"], ["b", "new"])


WEB = ("fastapi", "httpx2")


@pytest.fixture
def client():
    from fastapi.testclient import TestClient
    from serving.app import make_app

    with TestClient(make_app(RANKER)) as client:
        yield client


@needs(*WEB)
def test_server_answers_with_the_best(client):
    body = {"history": ["a", "new"], "candidates": [*"bcd"], "top": 2}
    response = client.post("/rank", json=body)
    assert response.status_code == 200
    answer = response.json()
    assert [best["item"] for best in answer["ranking"]] == ["d", "c"]
    assert answer["ranking"][0]["score"] == pytest.approx(0.4)
    assert (answer["steps"], answer["unknown"]) == (1, ["new"])
    health = client.get("/health").json()
    assert health == {"items": 8, "steps": STEPS}


@needs(*WEB)
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"candidates": ["b", "x"]}, "unknown candidates: x"),
        ({"candidates": []}, "at least 1 item"),
        ({"candidates": 1001 * ["b"]}, "at most 1000 items"),
        ({"histroy": ["a"]}, "Extra inputs are not permitted"),
    ],
)
def test_invalid_request_is_rejected(client, changed, message):
    body = {"history": ["a"], "candidates": ["b"], **changed}
    response = client.post("/rank", json=body)
    assert response.status_code == 422
    assert message in response.text
