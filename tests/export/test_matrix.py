"""The table of exports, and its failure if a promised route is lost."""

import pytest

from tests.export import matrix
from tests.export.models import LAYERS, MODELS
from tests.export.routes import FORMATS

pytestmark = pytest.mark.once


def test_a_lost_route_fails_and_keeps_the_page(tmp_path, monkeypatch):
    page = tmp_path / "export.md"
    page.write_text("<!-- export: begin -->\n<!-- export: end -->")
    monkeypatch.setattr(matrix, "PAGE", page)
    results = {
        (name, known, format, backend): 1e-7
        for name in (*LAYERS, *MODELS)
        for known in (True, False)
        for backend, formats in FORMATS.items()
        for format in formats
    }
    results["BST", True, "onnx", "jax"] = "something new"  # not promised
    matrix.update_page(results)
    written = page.read_text()
    assert "| `DIN` | fixed | 1e-07 |" in written
    assert written.count("| fails (1) |") == 1
    assert "\n1. something new\n" in written
    results["BST", True, "onnx", "torch"] = "something new"
    with pytest.raises(SystemExit, match=r"lost:\n.*'torch'.*: something new$"):
        matrix.update_page(results)
    assert page.read_text() == written
