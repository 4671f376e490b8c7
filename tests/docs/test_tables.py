"""Tables of pages agree with the data and the code that they describe."""

import importlib
import itertools
import json
import re
from pathlib import Path

import pytest

from kseq.agreement.tables import TOLERANCES
from kseq.export.formats import BY_NAME
from tests.export.routes import ROUTES, lost_exports

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
EXPORT = (DOCS / "export.md").read_text()
UPSTREAM = {p.stem: p.read_text() for p in DOCS.glob("upstream/*.py")}
del UPSTREAM["check"]
WORKAROUNDS = dict(
    re.findall(
        r"^\| `(\w+)` \|.*\| ([^|]*) \|$",
        (DOCS / "upstream" / "README.md").read_text(encoding="utf-8"),
        re.M,
    )
)


def table_after(text):
    """The rows of the table that follows a text, as lists of cells."""
    table = EXPORT.partition(text)[2].partition("\n\n")[0]
    return [
        [cell.strip() for cell in row.strip("|").split("|")]
        for row in table.splitlines()
    ]


def test_every_promised_export_is_measured():
    (_, _, *columns), _, *rows = table_after("<!-- export: begin -->\n\n")
    measured = {
        (name.strip("`"), steps == "fixed", *column.split(", "))
        for name, steps, *values in rows
        for column, value in zip(columns, values, strict=True)
        if re.fullmatch(r"\d+e[+-]\d+", value)
    }
    assert not lost_exports(measured)


def test_export_formats_have_routes_and_packages():
    assert {route.format for route in ROUTES} == {*BY_NAME}
    for format in BY_NAME.values():
        backends = [r.backend for r in ROUTES if r.format == format.name]
        # The first route of a format covers every layer and model.
        assert format.backend == backends[0]
    rows = table_after("what runs it | to install |\n|---|---|---|---|\n")
    packages = {tuple(re.findall(r"`([^`.]+)`", row[3])) for row in rows}
    assert packages == {
        (*format.needs, *itertools.chain(*format.exporters.values()))
        for format in BY_NAME.values()
    }


def test_limits_of_the_agreement():
    page = (DOCS / "own_layers.md").read_text()
    rows = re.findall(r"^\| (b?float\d+) \| (.*?) \| [a-z]", page, re.M)
    kinds = ("forward", "gradients", "fit")
    assert {
        (dtype, kind): limit
        for dtype, limits in rows
        for kind, limit in zip(kinds, limits.split(" | "), strict=True)
    } == {key: f"{x.limit:.0e}" for key, x in TOLERANCES.items()}


def test_scoreboard(monkeypatch):
    """The page shows the data, and every decision applies to a row."""
    monkeypatch.syspath_prepend(DOCS / "scoreboard")
    decisions, page = map(importlib.import_module, ("decisions", "page"))
    data = json.loads(page.DATA.read_text(encoding="utf-8"))
    assert page.PAGE.read_text(encoding="utf-8") == page.render(data)
    used = [d for r in data["rows"] for _, d in page.verdicts(r)]
    for decision in decisions.DECISIONS:
        assert decision in used, decision.sentence
        assert {*decision.scripts} <= UPSTREAM.keys()
        assert decision.scripts or decision.verdict == decisions.CONVENTION


def test_upstream_scripts_are_named_where_they_are_worked_around():
    assert WORKAROUNDS.keys() == UPSTREAM.keys()
    for name, script in UPSTREAM.items():
        backends = "tensorflow|torch|jax|numpy|openvino"
        assert re.match(rf"# KERAS_BACKEND: ({backends})\n", script), name
        files = re.findall(r"`([\w/]+\.py)`", WORKAROUNDS[name])
        assert files or WORKAROUNDS[name].startswith("none")
        for file in files:
            text = (ROOT / file).read_text(encoding="utf-8")
            assert name in text or "docs/upstream" in text, file
