"""The list of faults in Keras and the backends matches its scripts.

`python docs/upstream/check.py` runs the scripts.
"""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "upstream"
SCRIPTS = {p.stem: p for p in FOLDER.glob("*.py") if p.stem != "check"}
WORKAROUNDS = dict(
    re.findall(
        r"^\| `(\w+)` \|.*\| ([^|]*) \|$",
        (FOLDER / "README.md").read_text(encoding="utf-8"),
        re.M,
    )
)


def test_table_lists_every_script():
    assert WORKAROUNDS.keys() == SCRIPTS.keys()


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_names_its_backend_and_is_named_where_it_is_worked_around(name):
    text = SCRIPTS[name].read_text(encoding="utf-8")
    backends = "tensorflow|torch|jax|numpy|openvino"
    assert re.match(rf"# KERAS_BACKEND: ({backends})\n", text)
    files = re.findall(r"`([\w/]+\.py)`", WORKAROUNDS[name])
    assert files or WORKAROUNDS[name].startswith("none")
    for file in files:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert name in text or "docs/upstream" in text, file
