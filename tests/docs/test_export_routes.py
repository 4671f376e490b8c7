"""The page of exports: its routes, and what its table has measured of them."""

import itertools
import re
from pathlib import Path

import pytest

from kseq.export.formats import BY_NAME
from tests.export.routes import ROUTES, lost

PAGE = (Path(__file__).parents[2] / "docs" / "export.md").read_text()
BACKENDS = {"TensorFlow": "tensorflow", "PyTorch": "torch"}


def measured(page):
    """The cells of the table that hold a number, by the keys of `lost`."""
    _, _, table = page.partition("<!-- export: begin -->\n\n")
    head, _, *rows = table.partition("\n\n")[0].splitlines()
    _, _, *columns = cells(head)
    found = set()
    for row in rows:
        name, steps, *values = cells(row)
        for column, value in zip(columns, values, strict=True):
            if re.fullmatch(r"\d+e[+-]\d+", value):
                format, backend = column.split(", ")
                key = (name.strip("`"), steps == "fixed", format, backend)
                found.add(key)
    return found


def cells(row):
    return [cell.strip() for cell in row.strip("|").split("|")]


def told(page):
    """Format and backend of each route in the page's prose."""
    _, _, section = page.partition("\n## The routes\n")
    for item in re.findall(
        r"^- (.*?)(?=^\S|\Z)", section.partition("\n## ")[0] + "\n", re.M | re.S
    ):
        title = re.match(r"\*\*(.+?)\*\*: ", item)[1]
        for name, backend in BACKENDS.items():
            if name in item:
                yield title, backend


def test_the_table_has_each_route_of_every_layer_and_model():
    assert not lost(measured(PAGE))


def test_the_prose_tells_these_routes():
    assert sorted(told(PAGE)) == sorted({(r.title, r.backend) for r in ROUTES})
    routes = PAGE.partition("\n## The routes\n")[2].partition("\n## ")[0]
    for route in ROUTES:
        for name in route.but:
            assert f"`{name}`" in routes


def test_every_format_has_a_route_and_its_error_names_it():
    assert {route.format for route in ROUTES} == {*BY_NAME}
    for format in BY_NAME.values():
        backends = [r.backend for r in ROUTES if r.format == format.name]
        # The first of each is the one for every layer and model.
        assert format.backend == backends[0]


def test_the_page_names_what_to_install():
    _, _, table = PAGE.partition(
        "what runs it | to install |\n|---|---|---|---|\n"
    )
    rows = table.partition("\n\n")[0].splitlines()
    named = {tuple(re.findall(r"`([^`.]+)`", cells(row)[3])) for row in rows}
    assert named == {
        (*format.needs, *itertools.chain(*format.exporters.values()))
        for format in BY_NAME.values()
    }


@pytest.mark.parametrize(
    "row", ["| `KMaxPooling` | fixed | 0e+00 |", "| `BST` | any | 1e-07 |"]
)
def test_a_route_that_is_gone_is_seen(row):
    assert PAGE.count(row) == 1
    refused = PAGE.replace(row, f"{row.rpartition(' | ')[0]} | refused (2) |")
    ((name, _, format, backend),) = lost(measured(refused))
    assert f"`{name}`" in row
    assert (format, backend) == ("tf_saved_model", "tensorflow")
