"""The page of promises is that of its results, in which kseq keeps all."""

import json
from pathlib import Path

import pytest

from benchmarks.promises.page import page

pytestmark = pytest.mark.once
FOLDER = Path(__file__).parents[2] / "benchmarks" / "promises"
FOUND = json.loads((FOLDER / "results.json").read_text())


def test_the_page_has_these_results():
    assert (FOLDER / "results.md").read_text() == page(FOUND)
    assert FOUND["rows"][0]["promise"] in page(FOUND)


def test_kseq_keeps_all_promises():
    kept = [r["holds"] for r in FOUND["rows"] if r["library"] == "kseq"]
    assert len(kept) > 9
    assert all(kept)


def test_evidence_that_a_promise_is_broken():
    promises = pytest.importorskip("benchmarks.promises.promises")
    padding = promises.PROMISES[0]

    class Mean:
        def predict(self, inputs):
            return inputs["history"].mean(axis=1)

    assert promises.check(padding, Mean())[0] is False
    holds, evidence = promises.check(padding, None)
    assert (holds, evidence[:22]) == (False, "raises AttributeError:")
