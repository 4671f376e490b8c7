"""The table of exports fails where a route that its page names is refused."""

import json

import pytest

from tests.export import matrix
from tests.export.kinds import BACKENDS, FORMATS
from tests.export.models import LAYERS, MODELS


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Everything exported, as each backend leaves it; and an empty page."""
    for backend in BACKENDS:
        rows = [
            {"name": name, "known_steps": known, "format": kind.format}
            | {"difference": 1e-7}
            for name in (*LAYERS, *MODELS)
            for known in (True, False)
            for kind in FORMATS[backend]
        ]
        lines = "".join(f"{json.dumps(row)}\n" for row in rows)
        (tmp_path / f"{backend}.jsonl").write_text(lines)
    page = tmp_path / "export.md"
    page.write_text("<!-- export: begin -->\n<!-- export: end -->")
    monkeypatch.setattr(matrix, "FOUND", tmp_path)
    monkeypatch.setattr(matrix, "PAGE", page)
    return tmp_path


def test_what_was_measured_is_put_into_the_page(measured):
    matrix.put()
    assert "| `DIN` | fixed | 1e-07 |" in (measured / "export.md").read_text()


def change(folder, backend, **cell):
    """Have one export refused."""
    file = folder / f"{backend}.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    (row,) = (row for row in rows if cell.items() <= row.items())
    del row["difference"]
    row["refused"] = "something new"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def test_a_route_that_is_refused_fails_and_leaves_the_page(measured):
    change(measured, "torch", name="BST", known_steps=True, format="onnx")
    before = (measured / "export.md").read_text()
    with pytest.raises(SystemExit, match=r"'BST'.*'torch'.*: something new"):
        matrix.put()
    assert (measured / "export.md").read_text() == before


def test_what_is_no_route_may_be_refused(measured):
    change(measured, "jax", name="BST", known_steps=True, format="onnx")
    matrix.put()
    assert "refused (1)" in (measured / "export.md").read_text()
