"""The ranking service: its logic, its answers, and the model behind it."""

import importlib.util
import json
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from kseq.export import ExportError
from kseq.export.compare import TOLERANCE
from kseq.feature_column import SparseFeat, VarLenSparseFeat
from kseq.models import DIN

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

from serving.ranker import Items, Ranker, UnknownItems

STEPS = 4
ITEMS = Items(
    ids=["", *"abcdefgh"],
    titles=["", *"ABCDEFGH"],
    features={"item": list(range(9)), "kind": [0, 1, 2, 3, 1, 2, 3, 1, 2]},
    steps=STEPS,
)


def needs(*modules):
    missing = [m for m in modules if importlib.util.find_spec(m) is None]
    return pytest.mark.skipif(
        bool(missing),
        reason=f"{', '.join(missing)}: tox run -e serving has them",
    )


class Recorder:
    """A scorer that likes late items, and keeps what it was given."""

    def __call__(self, features):
        self.given = features
        return features["item"] / 10.0


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def ranker(recorder):
    return Ranker(ITEMS, recorder)


def test_ranks_by_score_whatever_the_order_of_candidates(ranker):
    ranking = ranker.rank(["a"], ["c", "g", "b"])
    assert ranking.items == ["g", "c", "b"]
    np.testing.assert_allclose(ranking.scores, [0.7, 0.3, 0.2])


def test_each_candidate_gets_its_features_and_the_user_s(ranker, recorder):
    ranker.rank(["a", "d"], ["c", "g", "b"])
    given = {name: x.tolist() for name, x in recorder.given.items()}
    assert given == {
        "item": [[3], [7], [2]],
        "kind": [[3], [1], [2]],
        "hist_item": 3 * [[1, 4, 0, 0]],
        "hist_kind": 3 * [[1, 1, 0, 0]],
    }
    assert {x.dtype for x in recorder.given.values()} == {np.dtype("int32")}


def test_of_a_long_history_the_newest_count(ranker, recorder):
    ranking = ranker.rank(list("abcdef"), ["h"])
    assert recorder.given["hist_item"].tolist() == [[3, 4, 5, 6]]
    assert ranking.steps == STEPS


def test_an_empty_history_is_all_padding(ranker, recorder):
    assert ranker.rank([], ["h"]).steps == 0
    assert not recorder.given["hist_item"].any()


def test_what_a_model_does_not_know_of_a_history_is_passed_over(
    ranker, recorder
):
    ranking = ranker.rank(["a", "new", "b", ""], ["h"])
    assert recorder.given["hist_item"].tolist() == [[1, 2, 0, 0]]
    assert ranking.steps == 2
    assert ranking.unknown == ["new", ""]


@pytest.mark.parametrize("candidate", ["new", "", "A"])
def test_an_unknown_candidate_is_refused(ranker, candidate):
    with pytest.raises(UnknownItems, match=f"unknown candidates: {candidate}"):
        ranker.rank(["a"], ["b", candidate])


def test_items_are_saved_and_loaded(tmp_path):
    ITEMS.save(tmp_path / "items.json")
    assert Items.load(tmp_path / "items.json") == ITEMS


@pytest.fixture
def client(ranker):
    from fastapi.testclient import TestClient
    from serving.app import make_app

    with TestClient(make_app(ranker)) as client:
        yield client


WEB = ("fastapi", "httpx2")


@needs(*WEB)
def test_answers_with_the_best(client):
    asked = {"history": ["a", "new"], "candidates": [*"bcd"], "top": 2}
    response = client.post("/rank", json=asked)
    assert response.status_code == 200
    answer = response.json()
    assert [best["item"] for best in answer["ranking"]] == ["d", "c"]
    assert answer["ranking"][0]["score"] == pytest.approx(0.4)
    assert answer["steps"] == 1
    assert answer["unknown"] == ["new"]


@needs(*WEB)
def test_tells_that_it_is_there(client):
    response = client.get("/health")
    assert response.json() == {"items": 8, "steps": STEPS}


@needs(*WEB)
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"candidates": ["b", "x"]}, "unknown candidates: x"),
        ({"candidates": []}, "at least 1 item"),
        ({"candidates": 1001 * ["b"]}, "at most 1000 items"),
        ({"candidates": [7]}, "valid string"),
        ({"candidates": "b"}, "valid list"),
        ({"history": None}, "valid list"),
        ({"history": 10_001 * ["a"]}, "at most 10000 items"),
        ({"top": 0}, "greater than or equal to 1"),
        ({"histroy": ["a"]}, "Extra inputs are not permitted"),
    ],
)
def test_refuses_what_is_wrong_and_says_it(client, changed, said):
    asked = {"history": ["a"], "candidates": ["b"]} | changed
    response = client.post("/rank", json=asked)
    assert response.status_code == 422
    assert said in response.text
    assert next(iter(changed)) in response.text


@needs(*WEB)
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"candidates": ["b"]}'])
def test_refuses_what_is_no_request(client, body):
    headers = {"content-type": "application/json"}
    response = client.post("/rank", content=body, headers=headers)
    assert response.status_code == 422
    assert response.json()["detail"]


def small_din():
    columns = [SparseFeat("item", 9, 4), SparseFeat("kind", 4, 2)]
    columns += [
        VarLenSparseFeat(
            SparseFeat(
                f"hist_{c.name}",
                c.vocabulary_size,
                c.embedding_dim,
                embedding_name=c.name,
            ),
            STEPS,
        )
        for c in columns
    ]
    model = DIN(columns, ["item", "kind"], att_hidden_size=(8,))
    for table in model.weights:
        if table.path.endswith("embeddings"):  # of those drawn all scores are
            table.assign(table * 1e4)  # alike
    return model


EXPORTS = needs("onnxscript", "onnxruntime", "uvicorn", *WEB)
ON_TORCH = pytest.mark.skipif(
    keras.backend.backend() != "torch",
    reason="PyTorch's ONNX takes any number of rows, without jax2onnx",
)


@EXPORTS
@ON_TORCH
def test_the_server_ranks_as_the_model_does(tmp_path):
    import httpx2
    from serving.client import measure_clients, rank, server
    from serving.export import CANDIDATES, export

    model = small_din()
    found = export(model, ITEMS, tmp_path)
    assert found.batch_sizes == (CANDIDATES, 1)
    assert found.any_batch_size

    expected = Ranker(ITEMS, model.predict_on_batch)
    asked = [
        {"history": history, "candidates": candidates}
        for history in ([], ["a"], list("hgfedcba"))
        for candidates in (["c"], list("bdfh"))
    ]
    with server(tmp_path) as address:
        assert address.startswith("http://127.0.0.1:")
        with httpx2.Client(base_url=address) as client:
            for body in asked:
                answer = rank(client, body)
                ranking = expected.rank(**body)
                got = {r["item"]: r["score"] for r in answer["ranking"]}
                assert list(got) == ranking.items
                scores = list(got.values())
                np.testing.assert_allclose(
                    scores, ranking.scores, atol=TOLERANCE
                )
                assert len(scores) == 1 or np.ptp(scores) > 100 * TOLERANCE
        seconds, rate = measure_clients(address, asked, clients=2)
    assert len(seconds) == len(asked)
    assert rate > 0


@EXPORTS
@ON_TORCH
def test_a_file_that_is_another_model_is_not_served(tmp_path, monkeypatch):
    from serving.export import export

    (tmp_path / "model.onnx").write_bytes(b"an older one")
    (tmp_path / "items.json").write_text(json.dumps("older"))
    model, other = small_din(), small_din()
    other.weights[-1].assign([0.1])  # a bias behind all else
    monkeypatch.setattr(model, "export", other.export)
    with pytest.raises(ExportError, match="of 200 rows the file's outputs are"):
        export(model, ITEMS, tmp_path)
    assert (tmp_path / "model.onnx").read_bytes() == b"an older one"
    assert json.loads((tmp_path / "items.json").read_text()) == "older"
    assert len(list(tmp_path.iterdir())) == 2
