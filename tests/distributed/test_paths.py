"""Layout maps are written against `variable.path`: they do not change."""

import json
from pathlib import Path

import pytest

from tests.models import examples

FILE = Path(__file__).with_name("paths.json")
NAMES = ("DIN", "DIEN-AUGRU-negatives", "DSIN", "BST")


def paths(name: str) -> list[str]:
    options = {} if name in ("DSIN", "BST") else {"att_activation": "dice"}
    if name != "BST":
        options["use_bn" if name.startswith("DIEN") else "dnn_use_bn"] = True
    return [w.path for w in examples.BY_NAME[name].make(**options).weights]


@pytest.mark.parametrize("name", NAMES)
def test_paths_are_the_recorded_ones(name: str) -> None:
    recorded = json.loads(FILE.read_text(encoding="utf-8"))[name]
    assert paths(name) == recorded
    # Whatever was built before in this process.
    for other in NAMES:
        paths(other)
    assert paths(name) == recorded
    assert len(set(recorded)) == len(recorded)
