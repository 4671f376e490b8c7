"""`compare` detects every kind of planted fault, and measures differences."""

import numpy as np
import pytest

from kseq.agreement.compare import compare, compare_records
from tests.agreement.records import KEY, make_record

pytestmark = pytest.mark.once

OTHER_KEY = KEY.replace("pool", "other")
REFERENCES = {KEY: np.array([1.0, 2.0])}


def record(name):
    return make_record(name, references=dict(REFERENCES))


def float32(*values):
    return np.array(values, "float32")


def failures(*records, **options):
    found = compare_records(records, **options).failures
    return [(failure.kind, failure.where, failure.what) for failure in found]


def rename_key(r):
    r.values, r.dtypes = {OTHER_KEY: r.values[KEY]}, {OTHER_KEY: "float32"}


def add_error(r):
    rename_key(r)
    r.fail("pool", "float32", "forward", RuntimeError("not here"))


def remove_results(r):
    r.values, r.dtypes = {}, {}
    for kind, reason in (("fit", "z"), ("gradients", "y"), ("forward", "z")):
        r.leave_out("pool", "float32", kind, reason)


def change_sources(r):
    r.run.fingerprint = "def"


DIFFER = "differ by 2.0e-05 of scale; limit 2e-06"
SHAPES = "{'a': (2,), 'b': (1,), 'reference': (2,)}"
SOURCES = (
    "records computed from different sources (delete or recompute the old "
    "ones): {'a': 'abc', 'b': 'def'}"
)
OTHER_IS_MISSING = ("missing key", OTHER_KEY, "a lacks this result")
FAULTS = {
    "value": (
        lambda r: r.values.update({KEY: float32(1, 2) + 4e-5}),
        ("tolerance", KEY, f"a and b {DIFFER}"),
        ("tolerance", KEY, f"b and reference {DIFFER}"),
    ),
    "dtype": (
        lambda r: r.dtypes.update({KEY: "float64"}),
        ("dtype", KEY, "dtypes differ: {'a': 'float32', 'b': 'float64'}"),
    ),
    "shape": (
        lambda r: r.values.update({KEY: float32(1)}),
        ("shape", KEY, f"shapes differ: {SHAPES}"),
    ),
    "key": (
        rename_key,
        OTHER_IS_MISSING,
        ("missing key", KEY, "b lacks this result"),
    ),
    "error": (
        add_error,
        ("error", "pool/float32/forward", "b: RuntimeError: not here"),
        OTHER_IS_MISSING,
    ),
    "empty": (remove_results, ("empty record", "b", "no results: y: z")),
    "unfinished": (
        lambda r: setattr(r.run, "finished", False),
        ("unfinished run", "b", "not every case was computed"),
    ),
    "sources": (change_sources, ("different sources", "", SOURCES)),
    "reference": (
        lambda r: r.references.update({KEY: float32(1, 3)}),
        ("reference", KEY, "b has a different reference"),
    ),
}


@pytest.mark.parametrize(
    ("fault", "expected"), [(f, e) for f, *e in FAULTS.values()], ids=FAULTS
)
def test_a_fault_is_reported(fault, expected):
    assert compare_records([record("a"), record("b")]).agrees
    bad = record("b")
    fault(bad)
    assert failures(record("a"), bad) == expected


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_never_within_the_tolerance(value):
    bad = make_record("a", float32(1, value)), make_record("b", float32(1, 2))
    not_finite, tolerance = failures(*bad)
    assert not_finite == ("not finite", KEY, "a has NaN or infinity")
    assert tolerance[0] == "tolerance"
    both_bad = [make_record(name, float32(1, value)) for name in "ab"]
    assert [f[0] for f in failures(*both_bad)].count("not finite") == 2
    assert not any(d.within for d in compare_records(both_bad).differences)


def test_every_required_run_must_exist_once():
    a = record("a")
    assert failures(a, record("b"), runs=("a", "c")) == [
        ("missing run", "c", "no record of this run")
    ]
    assert failures(a) == [
        ("missing run", "", "fewer than two runs to compare")
    ]
    assert failures(a, a) == [("duplicate run", "a", "two records of this run")]


def test_a_folder_is_compared(tmp_path):
    other = record("other")
    change_sources(other)
    for r in (record("a"), record("b"), other):
        r.save(tmp_path / f"{r.run.name}.npz")
    found = compare(tmp_path)
    assert [run.name for run in found.runs] == ["a", "b", "other"]
    assert not found.agrees
    assert compare(tmp_path, runs=("a", "b")).agrees
    (missing,) = compare(tmp_path, runs=("a", "b", "z")).failures
    assert (missing.kind, missing.where) == ("missing run", "z")


def test_a_folder_without_records_raises(tmp_path):
    message = (
        r"^folder: expected a directory with records \(\*.npz\); received "
    )
    with pytest.raises(ValueError, match=message):
        compare(tmp_path)


def test_a_missing_key_with_a_reason_is_accepted():
    name = "pool/float32/fit/weight 0 x/y/z"
    both, partial = record("a"), record("b")
    both.values[name], both.dtypes[name] = np.ones(1), "float64"
    assert not compare_records([both, partial]).agrees
    partial.leave_out("pool", "float32", "fit", "a reason")
    assert compare_records([both, partial]).agrees


def test_a_difference_is_measured():
    a, b = record("a"), record("b")
    b.values = {KEY: float32(1 + 2.0**-22, 2 - 2.0**-21)}
    found = compare_records([a, b]).differences
    assert [d.runs for d in found] == [
        ("a", "b"),
        ("a", "reference"),
        ("b", "reference"),
    ]
    first = found[0]
    names = first.case, first.dtype, first.kind, first.array
    assert "/".join(names) == KEY
    assert first.absolute == 2.0**-21
    assert first.relative == 2.0**-22  # the largest value is 2
    assert first.ulps == 2.0
    assert first.limit == 2e-6
    assert [d.farther for d in found] == ["b", None, None]
    assert compare_records([b, a]).differences[0].farther == "b"
    assert compare_records([a, record("c")]).differences[0].farther is None


def test_the_scale_is_the_largest_value_of_the_computation():
    ones, none = float32(1, 1), float32()
    a = make_record("a", ones, ones, none)
    b = make_record("b", ones * 1.5, ones * -8, none)
    for r in (a, b):  # a different computation whose name has the same prefix
        r.values["pool/float32/forward_compiled/output 0"] = ones * 100
        r.dtypes["pool/float32/forward_compiled/output 0"] = "float32"
    found = compare_records([a, b]).differences
    assert [d.relative for d in found] == [0.5 / 8, 9 / 8, 0.0, 0.0]
    assert [d.absolute for d in found] == [0.5, 9.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("a", "b", "dtype", "absolute", "relative", "ulps"),
    [
        ([0.0], [0.0], "float32", 0.0, 0.0, 0.0),
        ([0.25], [0.125], "float32", 0.125, 0.5, 2.0**22),
        # ulps are those of the larger value.
        ([1.0, -4.0], [2.0, -4.0], "float32", 1.0, 0.25, 2.0**22),
        # The difference would overflow in float16.
        ([6e4], [-6e4], "float16", 120000.0, 2.0, 3750.0),
        # Integers have no ulps: their difference is shown.
        ([1, 2], [1, 5], "int64", 3.0, 0.6, 3.0),
    ],
)
def test_scales_and_ulps(a, b, dtype, absolute, relative, ulps):
    pair = (
        make_record("a", np.array(a, dtype)),
        make_record("b", np.array(b, dtype)),
    )
    for r in pair:
        r.dtypes = dict.fromkeys(r.dtypes, dtype)
    (found,) = compare_records(pair).differences
    assert (found.absolute, found.relative, found.ulps) == (
        absolute,
        relative,
        ulps,
    )


@pytest.mark.parametrize(
    ("reference", "agrees"),
    [
        ([1.0, 2.0 * (1 + 5e-13)], True),
        ([1.0 + 5e-13, 2.0], True),
        ([1.0, 2.0 + 1e-11], False),
        ([[1.0, 2.0]], False),
    ],
)
def test_references_may_differ_by_rounding_only(reference, agrees):
    other = record("b")
    other.references[KEY] = np.array(reference)
    kinds = [kind for kind, *_ in failures(record("a"), other)]
    assert ("reference" not in kinds) == agrees
