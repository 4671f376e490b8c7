"""The rows, metrics and page of `benchmarks/quality`."""

import json

import numpy as np
import pytest

from benchmarks.quality import configuration as c
from benchmarks.quality import data, page, worker
from benchmarks.quality.results import Results

pytestmark = pytest.mark.once

PROTOCOL = c.Protocol(3, 2, 1, 4)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    lines = [
        " ".join(map(str, [user, *(rng.permutation(20)[:6] + 1)]))
        for user in range(1, 9)
    ]
    (tmp_path / "Tiny.txt").write_text("\n".join(lines))
    attributes = {item: [item % 3 + 1, 9] for item in range(1, 21)}
    file = tmp_path / "Tiny_item2attributes.json"
    file.write_text(json.dumps(attributes))
    return tmp_path


def test_rows_are_the_last_events_and_unseen_items(folder):
    events = data.read("Tiny", folder)
    assert len(np.unique(events.some_users(5).columns["user"])) == 5
    parts = data.split(events, PROTOCOL)
    lines = (folder / "Tiny.txt").read_text().splitlines()
    for line in lines:
        user, *items = map(int, line.split())
        for part, at, negatives in (("train", 3, 1), ("valid", 4, 1)):
            rows = parts[part][parts[part].user == user]
            x = rows.inputs
            assert x["item"][rows.label > 0][-1] == items[at]
            assert x["hist_item"][-1].tolist() == items[at - 3 : at]
            assert (rows.label == 0).sum() == negatives * (rows.label > 0).sum()
            assert not {*x["item"][rows.label == 0]} & {*items}
            assert (x["attribute"] == x["item"] % 3 + 2).all()
        test = parts["test"][parts["test"].user == user]
        assert test.inputs["item"][0] == items[5]
        assert test.label.tolist() == [1, 0, 0, 0, 0]
        train = parts["train"][parts["train"].user == user]
        positives = train.inputs["item"][train.label > 0]
        assert positives.tolist() == items[2:4]
    with pytest.raises(ValueError, match=r"data: expected Other\.txt"):
        data.read("Other", folder)


@pytest.mark.parametrize("model", ["popularity", "mean", "din"])
def test_a_run_has_metrics_and_stops(folder, model, monkeypatch):
    monkeypatch.setitem(c.PROTOCOLS, "Tiny", PROTOCOL)
    monkeypatch.setattr(c, "MAX_EPOCHS", 2)
    events = data.read("Tiny", folder)
    parts = data.split(events, PROTOCOL)
    job = c.Job("Tiny", model, "kseq", "torch", 0, 1e-2, 1e-4)
    run = worker.run(job, parts, data.sizes(events))
    assert 0 <= run["gauc"] <= 1
    assert model == "popularity" or 1 <= len(run["seconds"]) <= 2


def test_page_compares_seeds_of_both_libraries(tmp_path):
    results = Results(tmp_path)
    for seed, (ours, theirs) in enumerate(
        [(0.7, 0.6), (0.72, 0.62), (0.74, 0.64)]
    ):
        for library, gauc, seconds in (
            ("kseq", ours, [9.0, 1.0]),
            ("fuxictr", theirs, [9.0, 2.0]),
        ):
            job = c.Job("Tiny", "din", library, "torch", seed, 1e-2, 1e-4)
            run = {"gauc": gauc, "auc": gauc, "log_loss": 0.5, "weights": 7}
            results.add(job, run | {"seconds": seconds, "memory_mb": 3})
    results = Results(tmp_path)  # what the files have
    assert job in results
    text = page.text(results).replace("\N{NO-BREAK SPACE}", " ")
    expected = "| Tiny | DIN | 0.7200 ± 0.0200 | 0.6200 ± 0.0200 | +0.1000 |"
    assert f"{expected} better | 2.00 | 3 |" in text
    assert "<" not in text.replace("<br>", "")
    assert page.verdict(-0.01, 0.02) == "no difference found"
    assert page.verdict(-0.03, 0.02) == "worse"
