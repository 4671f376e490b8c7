"""The page of the scoreboard of Keras has its data, and decisions apply."""

import importlib
import json
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

FOLDER = Path(__file__).parents[2] / "docs" / "scoreboard"


@pytest.fixture(scope="module")
def modules():
    sys.path.insert(0, str(FOLDER))
    names = ("calls", "decisions", "page")
    yield [importlib.import_module(name) for name in names]
    sys.path.remove(str(FOLDER))
    for name in names:
        del sys.modules[name]


def test_page_is_made_from_the_data(modules):
    page = modules[2]
    data = json.loads(page.DATA.read_text(encoding="utf-8"))
    assert page.PAGE.read_text(encoding="utf-8") == page.render(data)
    computed = [r["name"] for r in data["rows"] if r["computed"]]
    assert sum(name.startswith("ops.") for name in computed) >= 300
    assert sum(not name.startswith("ops.") for name in computed) >= 120


def test_decisions_apply_and_name_scripts(modules):
    _, decisions, page = modules
    data = json.loads(page.DATA.read_text(encoding="utf-8"))
    used = [d for r in data["rows"] for _, d in page.verdicts(r)]
    for decision in decisions.DECISIONS:
        assert decision in used, decision.sentence
        for script in decision.scripts:
            assert (FOLDER.parent / "upstream" / f"{script}.py").is_file()
        assert decision.scripts or decision.verdict == decisions.CONVENTION
