"""`compare` detects every kind of planted fault, and measures differences."""

import numpy as np
import pytest

from kseq.agreement.compare import compare, compare_records
from tests.agreement.records import KEY, make_record

pytestmark = pytest.mark.once

OTHER_KEY = KEY.replace("pool", "other")
REFERENCE = np.array([1.0, 2.0])


def record(name):
    """A record whose reference differs by rounding."""
    rounded = REFERENCE * (1 + 5e-13 * (name == "b"))
    return make_record(name, references={KEY: rounded})


def float32(*values):
    return np.array(values, "float32")


def failures(*records, **options):
    found = compare_records(records, **options).failures
    return [f"{f.kind} {f.where}: {f.what}" for f in found]


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


def change_reference(value):
    return lambda r: r.references.update({KEY: np.array(value)})


OTHER_IS_MISSING = f"missing key {OTHER_KEY}: a lacks"
# The change of a record "b", and how each failure starts.
FAULTS = {
    "value": (
        lambda r: r.values.update({KEY: float32(1, 2) + 4e-5}),
        f"tolerance {KEY}: a and b differ by 2.0e-05 of scale; limit 2e-06",
        f"tolerance {KEY}: b and reference differ by 2.0e-05",
    ),
    "dtype": (
        lambda r: r.dtypes.update({KEY: "float64"}),
        f"dtype {KEY}: dtypes differ: {{'a': 'float32', 'b': 'float64'}}",
    ),
    "shape": (
        lambda r: r.values.update({KEY: float32(1)}),
        f"shape {KEY}: shapes differ: {{'a': (2,), 'b': (1,), 'ref",
    ),
    "key": (rename_key, OTHER_IS_MISSING, f"missing key {KEY}: b lacks"),
    "error": (
        add_error,
        "error pool/float32/forward: b: RuntimeError: not here",
        OTHER_IS_MISSING,
    ),
    "empty": (remove_results, "empty record b: no results: y: z"),
    "unfinished": (
        lambda r: setattr(r.run, "finished", False),
        "unfinished run b: not every case",
    ),
    "sources": (change_sources, "different sources : records computed from"),
    "reference": (change_reference([1, 2 + 1e-11]), f"reference {KEY}: b has"),
    "its shape": (change_reference([[1.0, 2.0]]), f"reference {KEY}: b has"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_reported(name):
    fault, *expected = FAULTS[name]
    assert compare_records([record("a"), record("b")]).agrees
    bad = record("b")
    fault(bad)
    found = failures(record("a"), bad)
    assert len(found) == len(expected)
    assert all(map(str.startswith, found, expected))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_never_within_the_tolerance(value):
    bad = make_record("a", float32(1, value))
    not_finite, tolerance = failures(bad, make_record("b", float32(1, 2)))
    assert not_finite == f"not finite {KEY}: a has NaN or infinity"
    assert tolerance.startswith("tolerance")
    both_bad = compare_records([bad, make_record("b", float32(1, value))])
    assert not any(d.within for d in both_bad.differences)


def test_every_required_run_must_exist_once():
    a = record("a")
    (missing,) = failures(a, record("b"), runs=("a", "c"))
    assert missing.startswith("missing run c")
    assert failures(a) == ["missing run : fewer than two runs to compare"]
    assert failures(a, a) == ["duplicate run a: two records of this run"]


def test_a_folder_is_compared(tmp_path):
    with pytest.raises(ValueError, match=r"^folder: expected .* records"):
        compare(tmp_path)
    other = record("other")
    change_sources(other)
    for r in (record("a"), record("b"), other):
        r.save(tmp_path / f"{r.run.name}.npz")
    # A killed run leaves temporary files.
    left = tmp_path / ".a.half.tmp" / "new"
    left.mkdir(parents=True)
    (left / "a.npz").write_bytes(b"PK")
    found = compare(tmp_path)
    assert [run.name for run in found.runs] == ["a", "b", "other"]
    assert not found.agrees
    assert compare(tmp_path, runs=("a", "b")).agrees
    (missing,) = compare(tmp_path, runs=("a", "b", "z")).failures
    assert (missing.kind, missing.where) == ("missing run", "z")


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
    runs = [("a", "b"), ("a", "reference"), ("b", "reference")]
    assert [d.runs for d in found] == runs
    assert [d.farther for d in found] == ["b", None, None]
    first = found[0]
    names = first.case, first.dtype, first.kind, first.array
    assert "/".join(names) == KEY
    assert first.relative == 2.0**-22  # the largest value is 2
    assert first.limit == 2e-6
    assert compare_records([b, a]).differences[0].farther == "b"
    assert compare_records([a, record("c")]).differences[0].farther is None


def test_the_scale_is_the_largest_value_of_the_computation():
    ones, none = float32(1, 1), float32()
    a = make_record("a", ones, ones, none)
    b = make_record("b", ones * 1.5, ones * -8, none)
    # Another computation, whose name has the same start.
    key = KEY.replace("forward", "forward_compiled")
    for r in (a, b):
        r.values[key], r.dtypes[key] = ones * 100, "float32"
    found = compare_records([a, b]).differences
    assert [d.relative for d in found] == [0.5 / 8, 9 / 8, 0.0, 0.0]


@pytest.mark.parametrize(
    ("a", "b", "dtype", "expected"),
    [
        ([0.0], [0.0], "float32", (0.0, 0.0, 0.0)),
        # ulps are those of the larger value.
        ([1.0, -4.0], [2.0, -4.0], "float32", (1.0, 0.25, 2.0**22)),
        # The difference would overflow in float16.
        ([6e4], [-6e4], "float16", (120000.0, 2.0, 3750.0)),
        # Integers have no ulps: their difference is shown.
        ([1, 2], [1, 5], "int64", (3.0, 0.6, 3.0)),
    ],
)
def test_scales_and_ulps(a, b, dtype, expected):
    a, b = np.array([a, b], dtype)
    pair = make_record("a", a), make_record("b", b)
    for r in pair:
        r.dtypes = {KEY: dtype}
    (found,) = compare_records(pair).differences
    assert (found.absolute, found.relative, found.ulps) == expected
