"""Loading a file of cases, recording it, and the sources of a record."""

import sys
import textwrap
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import kseq
from kseq.agreement import probes
from kseq.agreement.cases import Case, load_cases
from kseq.agreement.measure import measure
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
    def write(text):
        path = tmp_path / "some_cases.py"
        path.write_text(HEADER + textwrap.dedent(text))
        return path

    return write


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "module: expected a file with functions"),
        ("a, b = case(one), case(one)", "module: expected cases with unique"),
        ("case(one, kinds=('back',))", "kinds of case 'one': expected one of"),
        ("case(name='two')(one)", "name: expected no name"),
        ("Case('a\\0b', one)", "name: expected a printable string"),
    ],
)
def test_an_invalid_case_is_rejected(module, text, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        load_cases(module(text))


def test_cases_are_loaded_in_order(module):
    text = """
    a = case(one)

    @case(kinds=("fit",), dtypes=("float16",), reference=max)
    def another():
        return abs, np.ones(3)

    again = a
    """
    one, another = load_cases(module(text))
    expected = Case("one", one.build, None, ("float64", "float32"), KINDS)
    assert one == expected
    expected = Case("another", another.build, max, ("float16",), ("fit",))
    assert another == expected


def test_a_case_that_raises_does_not_stop_the_others(module, tmp_path):
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
    path = module(text)
    record_module(path, tmp_path / "mine.npz")
    record = load_record(tmp_path / "mine.npz")
    assert record.run.finished
    assert (record.run.name, record.run.device) == ("mine", probes.device())
    raised, none = record.errors.values()
    assert raised == "RuntimeError: not here"
    assert none.startswith("ValueError: reference of case 'none'")
    (value,) = (v for k, v in record.values.items() if k.startswith("works"))
    assert value.tolist() == [3.0] * 3
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
        values = record_case(record, case, "float32", "forward")
    assert values.keys() == {"output 0"}
    key = "doubled/float32/forward/output 0"
    assert record.values[key].tolist() == [2.0, -4.0]
    assert record.references[key].tolist() == [2.0, -4.0]
    assert len(calls) == 1
    record.run.backend = "numpy"
    assert record_case(record, case, "float32", "fit") is None
    reason = left_out("numpy", "fit", "float32")
    assert record.left_out == {"doubled/float32/fit": reason}
    assert [*record.values] == [key]


@pytest.mark.parametrize(
    "built", [None, (abs,), (3, X, {"mask": X}), (abs, X, 7)]
)
def test_an_invalid_build_result_is_rejected(built):
    with pytest.raises(ValueError, match=r"^build of case 'a': expected \(la"):
        measure(Case("a", lambda: built), "float32", "forward")


def test_installed_packages_are_not_sources(tmp_path, monkeypatch):
    library = ModuleType("a_library")
    library.__file__ = str(tmp_path / "env" / "site-packages" / "a_library.py")
    monkeypatch.setitem(sys.modules, "a_library", library)
    assert not loaded_from(tmp_path)


def test_sources_are_all_of_kseq_and_the_given_files(tmp_path):
    package = Path(kseq.__file__).parent
    assert not {*loaded_from(package.parent)} & {*package.rglob("*.py")}
    path = tmp_path / "deep" / "cases.py"
    found = sources(tmp_path, [path])
    assert found.pop("deep/cases.py") == path
    assert found["kseq/agreement/run.py"] == package / "agreement" / "run.py"
    assert {*found.values()} == {*package.rglob("*.py")}
