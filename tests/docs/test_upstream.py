"""The faults upstream are listed, and what points at their scripts finds them.

`python docs/upstream/check.py` says whether the faults are still there.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "upstream"
SCRIPTS = sorted(p.stem for p in FOLDER.glob("*.py") if p.stem != "check")

ROW = r"^\| `(\w+)` \|.*\| ([^|]*) \|$"


def rows():
    """What the table says of each script's workaround."""
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    return dict(re.findall(ROW, page, re.MULTILINE))


def test_the_table_has_all_scripts_and_no_others():
    assert sorted(rows()) == SCRIPTS


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_short_and_says_its_backend(name):
    lines = (FOLDER / f"{name}.py").read_text(encoding="utf-8").splitlines()
    assert re.fullmatch(
        r"# KERAS_BACKEND: (tensorflow|torch|jax|numpy|openvino)", lines[0]
    )
    assert len(lines) <= 35


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_workaround_names_its_script(name):
    said = rows()[name]
    files = [ROOT / f for f in re.findall(r"`([\w/]+\.py)`", said)]
    assert files or said.startswith("none")
    for path in files:
        assert name in path.read_text(encoding="utf-8"), path
