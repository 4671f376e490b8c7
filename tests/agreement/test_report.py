"""Reports on the terminal and as HTML, Markdown and JSON."""

import io
import json

import numpy as np
import pytest
from rich.console import Console

from kseq.agreement.compare import compare_records
from kseq.agreement.record import Entry, Record, Result, Run
from kseq.agreement.report import colour, print_report, to_html, write_reports

pytestmark = pytest.mark.once

TEST = "test_a.py::test_layer[<mean>]"


def record(name, *outputs, narrowed=(), kind="forward"):
    """A finished run with one test, whose reference is [1, 2]."""
    run = Run(name, name, "cpu", "abc", {"keras": "3"}, "here", "now", True)
    entry = Entry(0, "mean", "float32", kind, narrowed=list(narrowed))
    entry.values = dict(zip(("output", "other"), outputs, strict=False))
    entry.references = {"output": np.array([1.0, 2.0])}
    return Record(run, {TEST: Result(TEST, "test_a.py", 3, entries=[entry])})


def array(*values):
    return np.array(values, "float32")


AGREE = compare_records(
    [record("torch", array(1, 2)), record("jax", array(1, 2 + 5e-7))]
)
DIFFER = compare_records(
    [
        record("torch", array(1, 3), array(0)),
        record("jax", array(1, 2), array(1)),
    ]
)


def printed(comparison):
    console = Console(file=io.StringIO(), width=120)
    print_report(comparison, console)
    return console.file.getvalue()


def test_the_terminal_shows_runs_differences_and_failures():
    text = printed(AGREE)
    assert "torch" in text
    assert "float32 forward" in text
    assert "2.4e-07" in text  # 2 differs by 4.8e-7, relative to 2
    assert "The runs agree in 1 test." in text
    text = printed(DIFFER)
    assert f"{TEST} mean, float32 forward, output: " in text
    assert "(1 more like it)" in text
    assert "The runs do not agree: 2 failures in 1 test." in text


def test_the_page_escapes_names_and_colours_cells():
    page = to_html(DIFFER)
    assert "test_layer[&lt;mean&gt;]" in page
    assert "<mean>" not in page
    assert colour(2.0) in page
    assert colour(0.0).startswith("hsl(120 ")


def test_all_reports_are_written(tmp_path):
    write_reports(DIFFER, tmp_path)
    found = json.loads((tmp_path / "agreement.json").read_text())
    assert not found["agrees"]
    assert found["failures"][0]["test"] == TEST
    assert {p.name for p in tmp_path.iterdir()} == {
        "agreement.json",
        "agreement.md",
        "index.html",
    }
