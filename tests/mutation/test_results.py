"""The table of mutants, of what mutmut leaves."""

import ast
import json
from pathlib import Path

import pytest

from tests.mutation import results
from tests.mutation.results import explained, mutants, table
from tests.mutation.rooms import ROOMS

ROOT = Path(__file__).parents[2]
MUTATED = """\
class C:
    @_mutmut_mutated(mutants)
    def f(self, x):
        return x + 1

    def xǁCǁf__mutmut_orig(self, x):
        return x + 1

    def xǁCǁf__mutmut_1(self, x):
        return x - 1

    def xǁCǁf__mutmut_2(
        self,
        x,
    ):
        return x + 2

    def xǁCǁf__mutmut_3(self, x):
        return None
"""
SPANS = {"orig": (6, 7), "1": (9, 10), "2": (12, 16), "3": (18, 19)}


@pytest.fixture
def folder(tmp_path):
    """A copy of a project whose mutants were killed, missed and not run."""
    file = tmp_path / "mutants" / "kseq" / "a.py"
    file.parent.mkdir(parents=True)
    file.write_text(MUTATED)
    file.with_suffix(".py.spans").write_text(
        json.dumps(
            {"spans": {f"xǁCǁf__mutmut_{k}": v for k, v in SPANS.items()}}
        )
    )
    codes = {"1": 1, "2": 0, "3": None}
    file.with_suffix(".py.meta").write_text(
        json.dumps(
            {
                "exit_code_by_key": {
                    f"kseq.a.xǁCǁf__mutmut_{k}": v for k, v in codes.items()
                }
            }
        )
    )
    return tmp_path


def test_a_mutant_is_known_by_what_it_changes(folder):
    first, second, third = mutants(folder).values()
    assert first.key == ("kseq.a.C.f", "- return x + 1", "+ return x - 1")
    assert (first.outcome, first.alive, first.tried) == ("killed", False, True)
    assert second.key[-1] == "+ return x + 2"
    assert (second.outcome, second.alive) == ("survived", True)
    assert (third.outcome, third.alive, third.tried) == (
        *("not run", False, False),
    )


def test_the_table_shows_survivors_and_scores(folder):
    found = mutants(folder).values()
    head, row = table({"ops": found}, {}).splitlines()[-2:]
    assert row.split() == [
        *("ops", "3", "2", "1", "0", "1", "0", "0", "50.0", "%", "50.0", "%"),
    ]
    assert head.split()[:3] == ["room", "mutants", "tried"]
    assert "+ return x + 2" in table({"ops": found}, {})
    survivor = next(mutant for mutant in found if mutant.alive)
    told = table({"ops": found}, {survivor.key: "the same"})
    assert told.splitlines()[-1].split()[-5:] == [
        "1",
        "50.0",
        "%",
        "100.0",
        "%",
    ]
    assert "+ return x + 2" not in told


def test_equivalent_mutants_have_a_reason_and_a_function():
    for (name, *change), reason in explained().items():
        assert reason
        assert change
        assert all(line[:2] in ("+ ", "- ") for line in change), name
        definition(name)


def definition(name):
    """A function by its dotted name, read: its backend may not be here."""
    path, parts = ROOT, name.split(".")
    while (path / parts[0]).is_dir():
        path /= parts.pop(0)
    found = ast.parse((path / f"{parts.pop(0)}.py").read_text("utf-8"))
    for part in parts:
        (found,) = (
            node for node in found.body if getattr(node, "name", None) == part
        )
    return found


def test_a_reason_holds_until_the_next(tmp_path, monkeypatch):
    path = tmp_path / "equivalent.txt"
    path.write_text(
        "# one\n# reason\n\na.f\n- x\n+ y\n\na.g\n+ z\n\n# two\na.h\n+ w"
    )
    monkeypatch.setattr(results, "EQUIVALENT", path)
    assert explained() == {
        ("a.f", "- x", "+ y"): "one reason",
        ("a.g", "+ z"): "one reason",
        ("a.h", "+ w"): "two",
    }


def test_rooms_have_names_of_their_own():
    assert len({room.name for room in ROOMS}) == len(ROOMS)
