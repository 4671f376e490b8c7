"""The reference shows all that is exported, and nothing else."""

import importlib
import re
from pathlib import Path

import pytest

import kseq.hashing
from tests.meta.test_docstrings import EXPORTED, public

PAGES = sorted((Path(__file__).parents[2] / "docs" / "api").glob("*.md"))


def shown(text):
    """The names in lists of autosummary, by the module that stands above."""
    for module, names in re.findall(
        r"currentmodule:: (\S+)\n.*?nosignatures:\n\n(.*?)\n```", text, re.S
    ):
        yield from (f"{module}.{name}" for name in names.split())


SHOWN = [name for page in PAGES for name in shown(page.read_text())]


def test_the_reference_has_all_that_is_exported():
    hashing = {f"kseq.hashing.{name}" for name in public(kseq.hashing)}
    assert set(SHOWN) == EXPORTED.keys() | hashing
    assert len(SHOWN) == len(set(SHOWN))


@pytest.mark.parametrize("name", SHOWN)
def test_formulas_are_closed(name):
    module, _, attribute = name.rpartition(".")
    documented = getattr(importlib.import_module(module), attribute).__doc__
    # docs/conf.py reads $ as a formula's: they come in pairs.
    assert documented.count("$") % 2 == 0
