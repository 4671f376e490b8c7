"""docs/export.md agrees with the routes and formats of kseq.export."""

import itertools
import re
from pathlib import Path

import pytest

from kseq.export.formats import BY_NAME
from tests.export.routes import ROUTES, lost_exports

pytestmark = pytest.mark.once
PAGE = (Path(__file__).parents[2] / "docs" / "export.md").read_text()


def table_after(text):
    """The rows of the table that follows a text, as lists of cells."""
    table = PAGE.partition(text)[2].partition("\n\n")[0]
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


def test_every_format_has_a_route_that_its_errors_name():
    assert {route.format for route in ROUTES} == {*BY_NAME}
    for format in BY_NAME.values():
        backends = [r.backend for r in ROUTES if r.format == format.name]
        # The first route of a format covers every layer and model.
        assert format.backend == backends[0]


def test_the_page_names_the_packages_to_install():
    rows = table_after("what runs it | to install |\n|---|---|---|---|\n")
    packages = {tuple(re.findall(r"`([^`.]+)`", row[3])) for row in rows}
    assert packages == {
        (*format.needs, *itertools.chain(*format.exporters.values()))
        for format in BY_NAME.values()
    }
