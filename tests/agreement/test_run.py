"""Loading a file of cases, recording it, and the sources of a record."""

import importlib
import re
import sys
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest

import kseq
from kseq.agreement import probes
from kseq.agreement.cases import Case, load_cases
from kseq.agreement.record import fingerprint, load_record, new_record
from kseq.agreement.run import loaded_from, record_case, record_module, sources
from kseq.agreement.tables import KINDS, left_out

pytestmark = pytest.mark.once

X = np.array([1.0, -2.0])
HEADER = """
import numpy as np
from kseq.agreement import Case, case

def one():
    return abs, np.ones(2)
"""


@pytest.fixture
def module(tmp_path):
    def write(text, name="some_cases.py"):
        path = tmp_path / name
        path.write_text(HEADER + textwrap.dedent(text))
        return path

    return write


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "module: expected a file with functions decorated by @case"),
        (
            "a, b = Case('one', one), Case('one', one)",
            "module: expected cases with unique names; received ['one', 'one']",
        ),
        ("case(dtypes=('float8',))(one)", "dtypes of case 'one': expected one"),
        ("case(one, kinds=('back',))", "kinds of case 'one': expected one of"),
        ("case(name='two')(one)", "name: expected no name"),
        ("case(one, name='two')", "name: expected no name"),
        ("Case('a/b', one)", "name: expected a printable string without"),
        ("Case('a\\0b', one)", "name: expected a printable string without"),
        ("Case('', one)", "name: expected a printable string without"),
    ],
)
def test_an_invalid_case_is_rejected(module, text, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        load_cases(module(text))


def test_cases_are_loaded_in_order(module):
    text = """
    second = case(one)

    @case(kinds=("fit",), dtypes=("float16",), reference=max)
    def first():
        return abs, np.ones(3)

    again = second
    third = Case("third", first.build)
    """
    second, first, third = load_cases(module(text))
    assert [c.name for c in (second, first, third)] == ["one", "first", "third"]
    assert second.build()[1].shape == (2,)
    assert second.reference is None
    assert second.dtypes == third.dtypes == ("float64", "float32")
    assert second.kinds == third.kinds == KINDS
    assert (first.kinds, first.dtypes) == (("fit",), ("float16",))
    assert first.reference is max


def test_a_case_that_raises_does_not_stop_the_others(module, tmp_path):
    """The file may be named like a package, and import its neighbour."""
    neighbour = tmp_path / "its_neighbour.py"
    neighbour.write_text("FACTOR = 3.0")
    text = """
    from its_neighbour import FACTOR

    def fail(x):
        raise RuntimeError("not here")

    options = {"kinds": ("forward",), "dtypes": ("float32",)}
    raises = Case("raises", lambda: (fail, np.ones(3)), **options)
    returns_none = Case("none", one, lambda x, w: None, **options)
    works = Case("works", lambda: (abs, np.full(3, -FACTOR)), **options)
    """
    path = module(text, "keras.py")
    record_module(path, tmp_path / "mine.npz")
    record = load_record(tmp_path / "mine.npz")
    assert record.run.finished
    assert (record.run.name, record.run.device) == ("mine", probes.device())
    raised, none = record.errors.values()
    assert raised == "RuntimeError: not here"
    assert none.startswith("ValueError: reference of case 'none'")
    (value,) = (v for k, v in record.values.items() if k.startswith("works"))
    assert value.tolist() == [3.0] * 3
    assert sys.modules["keras"] is keras
    assert {*loaded_from(tmp_path)} == {path, neighbour}
    files = sources(tmp_path, [path, neighbour])
    assert record.run.fingerprint == fingerprint(files)


def test_a_case_is_recorded_and_its_reference_computed_once():
    calls = []

    def reference(inputs, weights):
        calls.append(inputs)
        return 2 * inputs[0]

    record = new_record("a", "cpu", "abc")
    case = Case("doubled", lambda: (lambda t: t + t, X), reference)
    for _ in range(2):
        record.values.clear()
        assert [*record_case(record, case, "float32", "forward")] == [
            "output 0"
        ]
    key = "doubled/float32/forward/output 0"
    assert record.values[key].tolist() == [2.0, -4.0]
    assert record.references[key].tolist() == [2.0, -4.0]
    assert record.dtypes == {key: "float32"}
    assert len(calls) == 1
    assert not record.left_out


def test_an_excluded_computation_is_recorded_with_its_reason():
    record = new_record("a", "cpu", "abc")
    record.run.backend = "numpy"
    case = Case("f", lambda: (abs, X))
    assert record_case(record, case, "float32", "fit") is None
    reason = left_out("numpy", "fit", "float32")
    assert record.left_out == {"f/float32/fit": reason}
    assert not record.values


@pytest.mark.parametrize(
    ("built", "received"),
    [
        (None, "None"),
        ((abs,), f"[{abs!r}]"),
        ((3, X, {"mask": X}), "[3, shape (2,), {'mask': shape (2,)}]"),
        ((abs, X, 7), f"[{abs!r}, shape (2,), 7]"),
    ],
)
def test_an_invalid_build_result_is_rejected(built, received):
    message = (
        "build of case 'a': expected (layer, inputs) or (layer, inputs, "
        f"keyword arguments); received {received}"
    )
    record = new_record("a", "cpu", "abc")
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        record_case(record, Case("a", lambda: built), "float32", "forward")


def test_installed_packages_are_not_sources(tmp_path, monkeypatch):
    root = Path(kseq.__file__).parents[1]
    loaded = loaded_from(root)
    assert not [p for p in loaded if p.is_relative_to(root / "kseq")]
    library = tmp_path / "env" / "site-packages" / "a_library.py"
    library.parent.mkdir(parents=True)
    library.touch()
    monkeypatch.syspath_prepend(library.parent)
    monkeypatch.setitem(sys.modules, library.stem, None)  # removed at the end
    del sys.modules[library.stem]
    importlib.import_module(library.stem)
    assert not loaded_from(tmp_path)


def test_sources_are_all_of_kseq_and_the_given_files(tmp_path):
    package = Path(kseq.__file__).parent
    fingerprints = []
    for folder, text in (("a", "x = 1"), ("b/c", "x = 1"), ("d", "x = 2")):
        path = tmp_path / folder / "cases.py"
        path.parent.mkdir(parents=True)
        path.write_text(text)
        found = sources(path.parent, [path])
        fingerprints.append(fingerprint(found))
        assert found.pop("cases.py") == path
        assert found["kseq/agreement/run.py"] == package / "agreement/run.py"
        assert {*found.values()} == {*package.rglob("*.py")}
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]
