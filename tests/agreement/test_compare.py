"""`compare` fails on every planted fault."""

import copy

import numpy as np
import pytest

from kseq.agreement.__main__ import main
from kseq.agreement.compare import compare, compare_records
from kseq.agreement.record import Record, Run, load_record

KEY = "pool/float32/forward/output 0"


def record(name):
    run = Run(name, name, "cpu", "abc", {"keras": "3"}, "here", "now", True)
    values = {KEY: np.array([1.0, 2.0], "float32")}
    return Record(
        run,
        values,
        {KEY: "float32"},
        {"pool/float32/forward/output 0": np.array([1.0, 2.0])},
        {},
    )


def change_value(r):
    r.values[KEY] = r.values[KEY] + np.float32(10 * 2e-6 * 2)


def change_dtype(r):
    r.dtypes[KEY] = "float64"


def change_shape(r):
    r.values[KEY] = r.values[KEY][:1]


def plant_nan(r):
    r.values[KEY] = np.array([1.0, np.nan], "float32")


def drop_key(r):
    other = KEY.replace("pool", "other")
    r.values = {other: r.values[KEY]}
    r.dtypes = {other: "float32"}


def empty(r):
    r.values, r.dtypes = {}, {}


def unfinished(r):
    r.run.finished = False


def raised(r):
    drop_key(r)
    r.fail("pool", "float32", "forward", RuntimeError("not on this backend"))


def stale(r):
    r.run.fingerprint = "def"


def another_reference(r):
    r.references["pool/float32/forward/output 0"] = np.array([1.0, 3.0])


FAULTS = {
    change_value: "tolerance",
    change_dtype: "dtype",
    change_shape: "shape",
    plant_nan: "not finite",
    drop_key: "missing key",
    empty: "empty record",
    unfinished: "unfinished run",
    raised: "error",
    stale: "different sources",
    another_reference: "reference",
}


def test_equal_records_agree():
    assert compare_records([record("a"), record("b")]).agrees


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_fault_is_found(fault):
    bad = copy.deepcopy(record("b"))
    fault(bad)
    found = compare_records([record("a"), bad])
    assert FAULTS[fault] in {failure.kind for failure in found.failures}


def test_missing_run_is_found():
    found = compare_records([record("a"), record("b")], runs=("a", "c"))
    assert [f.kind for f in found.failures] == ["missing run"]


def test_a_double_run_is_found():
    found = compare_records([record("a"), record("a")])
    assert [f.kind for f in found.failures] == ["double run"]


def test_only_the_runs_that_are_asked_for_are_compared(tmp_path):
    other = record("other")
    stale(other)
    for r in (record("a"), record("b"), other):
        r.save(tmp_path / f"{r.run.name}.npz")
    assert not compare(tmp_path).agrees
    assert compare(tmp_path, runs=("a", "b")).agrees


def test_a_missing_key_with_a_reason_is_none():
    lacking = record("b")
    drop_key(lacking)
    both = record("a")
    both.values |= lacking.values
    both.dtypes |= lacking.dtypes
    lacking.leave_out("pool", "float32", "forward", "a reason")
    assert compare_records([both, lacking]).agrees


def test_command_line(tmp_path):
    for name in ("a", "b"):
        record(name).save(tmp_path / f"{name}.npz")
    assert main(["compare", str(tmp_path)]) == 0
    bad = record("b")
    change_value(bad)
    bad.save(tmp_path / "b.npz")
    assert main(["compare", str(tmp_path)]) == 1
    assert (tmp_path / "index.html").exists()
    assert main(["compare", str(tmp_path / "nothing")]) == 2


def test_damaged_record_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    record("a").save(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="a record written by"):
        load_record(path)
    with pytest.raises(ValueError, match="a record written by"):
        compare(tmp_path)
