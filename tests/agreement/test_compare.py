"""`compare` fails on every planted fault."""

import copy
import re

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


def failures(comparison):
    return [(f.kind, f.where, f.what) for f in comparison.failures]


TOLD = {
    change_value: [
        ("tolerance", KEY, "a and b differ by 2.0e-05 of scale; limit 2e-06"),
        (
            *("tolerance", KEY),
            "b and reference differ by 2.0e-05 of scale; limit 2e-06",
        ),
    ],
    change_dtype: [
        ("dtype", KEY, "dtypes differ: {'a': 'float32', 'b': 'float64'}")
    ],
    change_shape: [
        (
            *("shape", KEY),
            "shapes differ: {'a': (2,), 'b': (1,), 'reference': (2,)}",
        )
    ],
    drop_key: [
        ("missing key", KEY.replace("pool", "other"), "a has no such result"),
        ("missing key", KEY, "b has no such result"),
    ],
    empty: [
        ("empty record", "b", "no results"),
        ("missing key", KEY, "b has no such result"),
    ],
    unfinished: [("unfinished run", "b", "not every case was computed")],
    raised: [
        (
            *("error", "pool/float32/forward"),
            "b: RuntimeError: not on this backend",
        ),
        ("missing key", KEY.replace("pool", "other"), "a has no such result"),
    ],
    stale: [
        (
            *("different sources", ""),
            "records of different sources (compute the old ones again, or "
            "delete them): {'a': 'abc', 'b': 'def'}",
        )
    ],
    another_reference: [("reference", KEY, "b made another reference")],
}


@pytest.mark.parametrize("fault", TOLD, ids=lambda fault: fault.__name__)
def test_a_fault_is_told(fault):
    bad = record("b")
    fault(bad)
    assert failures(compare_records([record("a"), bad])) == TOLD[fault]


def test_nan_is_told_and_within_no_tolerance():
    bad = record("b")
    plant_nan(bad)
    found = compare_records([record("a"), bad])
    assert failures(found)[0] == (
        *("not finite", KEY, "b has NaN or infinity"),
    )
    assert [f.kind for f in found.failures[1:]] == ["tolerance"] * 2


def test_a_run_without_results_says_why():
    bad = record("b")
    empty(bad)
    for kind, why in (("fit", "z"), ("forward", "y"), ("gradients", "z")):
        bad.leave_out("pool", "float32", kind, why)
    found = compare_records([record("a"), bad])
    assert failures(found) == [("empty record", "b", "no results: y: z")]


def test_too_few_runs_are_told():
    assert failures(compare_records([record("a")], runs=("a", "c"))) == [
        ("missing run", "c", "no record of this run"),
        ("missing run", "", "fewer than two runs to compare"),
    ]
    assert failures(compare_records([record("a"), record("a")])) == [
        ("double run", "a", "two records of this run"),
    ]


def test_a_folder_without_records_is_refused(tmp_path):
    message = "folder: expected a folder with records (*.npz); received "
    with pytest.raises(ValueError, match=re.escape(f"{message}'{tmp_path}'")):
        compare(tmp_path)


def holding(name, *arrays, dtype="float32"):
    """A record of several outputs of one case."""
    r = record(name)
    keys = [f"pool/{dtype}/forward/output {i}" for i in range(len(arrays))]
    r.values = dict(zip(keys, arrays, strict=True))
    r.dtypes = dict.fromkeys(keys, dtype)
    r.references = {}
    return r


def test_a_difference_in_numbers():
    a, b = record("a"), record("b")
    b.values = {KEY: np.array([1.0 + 2.0**-22, 2.0 - 2.0**-21], "float32")}
    b.references = {}
    found = compare_records([a, b]).differences
    assert [d.runs for d in found] == [
        *(("a", "b"), ("a", "reference"), ("b", "reference")),
    ]
    first = found[0]
    assert (first.case, first.dtype, first.kind, first.array) == (
        *("pool", "float32", "forward", "output 0"),
    )
    assert first.absolute == 2.0**-21
    assert first.relative == 2.0**-22  # of the largest value, 2
    assert first.ulps == 2.0
    assert first.limit == 2e-6
    assert first.farther == "b"
    assert found[1].absolute == 0.0
    assert [d.farther for d in found[1:]] == [None, None]


def test_who_is_farther_is_not_said_of_runs_as_far():
    assert (
        compare_records([record("a"), record("b")]).differences[0].farther
        is None
    )
    both = [holding(n, np.ones(1, "float32")) for n in "ab"]
    assert compare_records(both).differences[0].farther is None


def test_the_scale_is_the_largest_value_of_the_computation():
    ones = np.ones(2, "float32")
    a = holding("a", ones, ones, np.ones(0, "float32"))
    b = holding("b", ones * 1.5, ones * -8, np.ones(0, "float32"))
    # Another computation's, whose name begins alike, does not count.
    for r in (a, b):
        r.values["pool/float32/forward_compiled/output 0"] = ones * 100
        r.dtypes["pool/float32/forward_compiled/output 0"] = "float32"
    found = compare_records([a, b]).differences
    assert [d.relative for d in found] == [0.5 / 8, 9 / 8, 0.0, 0.0]
    assert [d.absolute for d in found] == [0.5, 9.0, 0.0, 0.0]


def test_zeros_have_no_scale():
    a, b = (holding(n, np.zeros(2, "float32")) for n in "ab")
    (found,) = compare_records([a, b]).differences
    assert (found.relative, found.ulps) == (0.0, 0.0)


def test_what_is_not_of_floats_has_no_last_place():
    arrays = np.array([1, 2]), np.array([1, 5])
    a, b = (holding(n, x) for n, x in zip("ab", arrays, strict=True))
    for r in (a, b):
        r.dtypes = dict.fromkeys(r.dtypes, "int64")
    (found,) = compare_records([a, b]).differences
    assert (found.ulps, found.absolute, found.relative) == (3.0, 3.0, 3 / 5)


def test_ulps_are_of_the_larger_number():
    a = holding("a", np.array([1.0, -4.0], "float32"))
    b = holding("b", np.array([2.0, -4.0], "float32"))
    (found,) = compare_records([a, b]).differences
    assert found.ulps == 2.0**23 / 2


def test_a_reference_may_differ_in_its_last_bits():
    other = record("b")
    other.references[KEY] = other.references[KEY] * (1 + 5e-13)
    assert compare_records([record("a"), other]).agrees
    other.references[KEY] = np.array([1.0, 2.0 + 1e-11])
    assert not compare_records([record("a"), other]).agrees
    small, tiny = record("a"), record("b")
    small.references[KEY] = np.array([0.0, 2.0])
    tiny.references[KEY] = np.array([5e-13, 2.0])
    kinds = {f.kind for f in compare_records([small, tiny]).failures}
    assert "reference" not in kinds
    other.references[KEY] = np.ones((1, 2))
    assert "reference" in {
        f.kind for f in compare_records([record("a"), other]).failures
    }


def test_keys_are_compared_in_their_order():
    ones = [np.ones(1, "float32")] * 3
    a, b = holding("a", *ones), holding("b", *ones[:1])
    a.values = dict(reversed(a.values.items()))
    found = compare_records([a, b])
    assert [f.where[-1] for f in found.failures] == ["1", "2"]
    # A result of one run alone has nothing to be compared with.
    assert [d.array for d in found.differences] == ["output 0"]


def test_runs_are_told_as_they_were():
    a, b = record("a"), record("b")
    assert compare_records([a, b]).runs == [a.run, b.run]


def test_runs_of_a_folder_must_be_there(tmp_path):
    for name in "ab":
        record(name).save(tmp_path / f"{name}.npz")
    found = compare(tmp_path, runs=("a", "b", "z"))
    assert failures(found) == [("missing run", "z", "no record of this run")]


def test_small_numbers_are_their_own_scale():
    a, b = (holding(n, np.array([v])) for n, v in (("a", 0.25), ("b", 0.125)))
    (found,) = compare_records([a, b]).differences
    assert found.relative == 0.5


def test_names_of_arrays_may_hold_slashes():
    a, b = record("a"), record("b")
    for r in (a, b):
        r.values = {"pool/float32/fit/weight 0 x/y/z": np.ones(1)}
        r.dtypes = dict.fromkeys(r.values, "float32")
    (found,) = compare_records([a, b]).differences
    assert (found.case, found.dtype, found.kind, found.array) == (
        *("pool", "float32", "fit", "weight 0 x/y/z"),
    )


def test_halves_are_subtracted_in_64_bits():
    a, b = (
        holding(n, np.array([v], "float16"), dtype="float16")
        for n, v in (("a", 60000), ("b", -60000))
    )
    (found,) = compare_records([a, b]).differences
    assert (found.absolute, found.relative) == (120000.0, 2.0)


def test_the_first_may_be_farther():
    a = record("a")
    change_value(a)
    assert compare_records([a, record("b")]).differences[0].farther == "a"
