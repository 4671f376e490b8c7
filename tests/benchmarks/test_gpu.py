"""`python -m benchmarks.gpu --dry`: the script for a GPU, without one."""

import json

import pytest

from benchmarks.gpu import page
from benchmarks.gpu.__main__ import main

pytestmark = pytest.mark.once


def test_dry_run_measures_what_is_installed_and_writes_the_page(
    tmp_path, monkeypatch
):
    pytest.importorskip("torch", reason="measures PyTorch")
    arguments = ["--dry", "--workloads", "pooling", "bilstm"]
    main([*arguments, "--out", str(tmp_path)])
    results = json.loads((tmp_path / page.FILE).read_text())
    errors = {}
    for row in results["rows"]:
        if "error" in row:
            errors[row["contender"]] = row["error"]
            continue
        assert min(row["forward"]["low"], row["train"]["low"]) > 0
        assert row["contender"] == "copy" or (
            row["difference"] <= page.LIMITS[row["precision"]]
        )
    measured = {row["contender"] for row in results["rows"]} - errors.keys()
    assert measured >= {"copy", "kseq", "packed", "compiled"}
    missing = ("No module", "needs a GPU")
    for text in errors.values():
        assert any(reason in text for reason in missing), text

    monkeypatch.setattr(page, "PAGE", tmp_path / "page.md")
    page.PAGE.write_text("a\n<!-- times -->\nold\n<!-- end of times -->\nb\n")
    page.write(results)
    text = page.PAGE.read_text()
    assert text.startswith("a\n")
    assert text.endswith("-->\nb\n")
    assert page.tables(results) in text
    assert "old" not in text
