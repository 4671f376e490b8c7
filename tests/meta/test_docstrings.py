"""Public objects are documented, and the examples of all docstrings run."""

import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import keras
import pytest

import kseq
import kseq.agreement.inputs
import kseq.convert.deepctr
import kseq.convert.deepctr_torch
import kseq.convert.fuxictr
import kseq.convert.torch_files
import kseq.data
import kseq.export
import kseq.feature_column
import kseq.hashing
import kseq.layers
import kseq.losses
import kseq.metrics
import kseq.models
import kseq.ops
import kseq.optimizers

# Modules that only run on one backend, and a module that runs on import.
NOT_IMPORTED = (
    "kseq.agreement.probes.",
    "kseq.ops.backends.",
    "kseq.agreement.__main__",
)
# Examples that need a certain backend.
BACKENDS = {"kseq.export.compare.export": ("tensorflow", "torch")}

PACKAGES = (
    kseq.agreement,
    kseq.agreement.inputs,
    kseq.convert.deepctr,
    kseq.convert.deepctr_torch,
    kseq.convert.fuxictr,
    kseq.convert.torch_files,
    kseq.data,
    kseq.export,
    kseq.feature_column,
    kseq.hashing,
    kseq.layers,
    kseq.losses,
    kseq.metrics,
    kseq.models,
    kseq.ops,
    kseq.optimizers,
)
# Without the standard sections: their pages have examples.
LESS = {
    *("kseq.convert.deepctr", "kseq.convert.deepctr_torch", "kseq.export"),
    *("kseq.convert.fuxictr", "kseq.convert.torch_files", "kseq.hashing"),
    "kseq.losses",
}
NO_EXAMPLE = ("FeatureColumn", "SparseUpdates")
API_PAGES = sorted((Path(__file__).parents[2] / "docs" / "api").glob("*.md"))


def find_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    names = [
        module.name
        for module in pkgutil.walk_packages(kseq.__path__, "kseq.")
        if not module.name.startswith(NOT_IMPORTED)
    ]
    for name in ["kseq", *names]:
        tests = finder.find(importlib.import_module(name))
        yield from (test for test in tests if test.examples)


def public_objects(package):
    return {
        f"{package.__name__}.{name}": value
        for name, value in vars(package).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__.startswith(package.__name__)
    }


PUBLIC = {
    name: value
    for package in PACKAGES
    for name, value in public_objects(package).items()
}


@pytest.mark.once
@pytest.mark.parametrize("example", [*find_examples()], ids=lambda e: e.name)
def test_example_runs(example):
    backends = BACKENDS.get(example.name)
    if backends and keras.backend.backend() not in backends:
        pytest.skip(f"runs on {' and '.join(backends)} only")
    failures = []
    doctest.DocTestRunner(verbose=False).run(example, out=failures.append)
    assert not failures, "".join(failures)


@pytest.mark.once
@pytest.mark.parametrize("name", PUBLIC)
def test_docstring_has_the_standard_sections(name):
    documented = PUBLIC[name]
    # getdoc would return the docstring of Keras's base class, and a dataclass
    # without a docstring gets its signature as one.
    assert documented.__doc__
    assert not documented.__doc__.startswith(f"{documented.__name__}(")
    # docs/conf.py renders $...$ as a formula.
    assert documented.__doc__.count("$") % 2 == 0
    package, _, short = name.rpartition(".")
    if package in LESS or short in NO_EXAMPLE:
        return
    lines = inspect.getdoc(documented).splitlines()
    assert "Example:" in lines
    takes = [*inspect.signature(documented).parameters]
    assert ("Args:" in lines) == bool(takes)
    is_layer = package == "kseq.layers" and inspect.isclass(documented)
    assert ("Call arguments:" in lines) >= is_layer
    if short in ("BST", "DIEN", "DIN", "DSIN") or (
        is_layer and short != "BatchNormalization"
    ):
        assert "Differences from DeepCTR:" in lines


@pytest.mark.once
def test_api_pages_list_every_public_object():
    listed = [
        f"{module}.{name}"
        for page in API_PAGES
        for module, names in re.findall(
            r"currentmodule:: (\S+)\n.*?nosignatures:\n\n(.*?)\n```",
            page.read_text(),
            re.S,
        )
        for name in names.split()
    ]
    assert sorted(listed) == sorted(PUBLIC)
