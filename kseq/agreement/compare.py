"""Compare the records of several runs."""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kseq.agreement.record import (
    Record,
    Run,
    computation_key,
    load_record,
    reference_key,
)
from kseq.agreement.tables import BITS, tolerance
from kseq.checks import check_items, check_path, raise_invalid

REFERENCE = "reference"


@dataclass(frozen=True)
class Difference:
    """How much an array differs between two runs, or run and reference."""

    case: str
    dtype: str
    kind: str
    array: str
    runs: tuple[str, str]
    absolute: float
    relative: float  # to the computation's scale, see `_scales`
    ulps: float
    limit: float
    farther: str | None  # the run that is farther from the reference

    @property
    def within(self) -> bool:
        # Written so that NaN is never within the limit.
        return bool(self.relative <= self.limit)


@dataclass(frozen=True)
class Failure:
    """One reason why the runs do not agree."""

    kind: str
    where: str
    what: str


@dataclass
class Comparison:
    """The result of a comparison."""

    runs: list[Run]
    differences: list[Difference] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        return not self.failures

    def fail(self, kind: str, where: str, what: str) -> None:
        self.failures.append(Failure(kind, where, what))


def compare(
    folder: str | Path, runs: Sequence[str] | None = None
) -> Comparison:
    """Compare the records in a directory with each other and the reference.

    Args:
        folder: a directory with one `<run>.npz` file per run.
        runs: the names of the runs to compare, all of them required. By
            default all runs in the directory are compared.

    Returns:
        A `Comparison`. Each of these is a failure: a missing, duplicate or
        unfinished run; records computed from different sources; a record
        without results; a computation that raised an error; a result that one
        run lacks without a stated reason; different shapes, dtypes or
        references; NaN or infinity; a difference that exceeds its tolerance
        (`kseq.agreement.tables`).

    Raises:
        ValueError: if the directory does not exist or has no records, one of
            its files is not a record, or `runs` is not a sequence of names.
    """
    folder = check_path("folder", folder)
    if runs is not None:
        runs = check_items("runs", runs, str, "a sequence of run names")
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise_invalid("folder", "a directory with records (*.npz)", str(folder))
    if runs is not None:
        paths = [path for path in paths if path.stem in runs]
    return compare_records([load_record(path) for path in paths], runs or ())


# Infinite values fail anyway, and NumPy should not warn about them too.
@np.errstate(invalid="ignore")
def compare_records(
    records: Sequence[Record], runs: Sequence[str] = ()
) -> Comparison:
    """Compare records that are already loaded; see `compare`."""
    comparison = Comparison([record.run for record in records])
    _check_runs(comparison, records, runs)
    _check_keys(comparison, records)
    references = _merge_references(comparison, records)
    scales = _scales(records)
    for key in sorted({key for record in records for key in record.values}):
        scale = scales[computation_key(key)]
        _compare_key(comparison, key, records, references, scale)
    return comparison


def _check_runs(
    comparison: Comparison, records: Sequence[Record], runs: Sequence[str]
) -> None:
    names = [record.run.name for record in records]
    for name in runs:
        if name not in names:
            comparison.fail("missing run", name, "no record of this run")
    for name in {name for name in names if names.count(name) > 1}:
        comparison.fail("duplicate run", name, "two records of this run")
    if len(names) < 2:
        comparison.fail("missing run", "", "fewer than two runs to compare")
    for record in records:
        for computation, error in record.errors.items():
            comparison.fail("error", computation, f"{record.run.name}: {error}")
        if not record.values:
            reasons = sorted(set(record.left_out.values()))
            comparison.fail(
                "empty record",
                record.run.name,
                ": ".join(["no results", *reasons]),
            )
        if not record.run.finished:
            comparison.fail(
                "unfinished run", record.run.name, "not every case was computed"
            )
    fingerprints = {r.run.name: r.run.fingerprint for r in records}
    if len({*fingerprints.values()}) > 1:
        comparison.fail(
            "different sources",
            "",
            "records computed from different sources (delete or recompute the "
            f"old ones): {fingerprints}",
        )


def _check_keys(comparison: Comparison, records: Sequence[Record]) -> None:
    """Require every result of one run in all others, or a reason."""
    holders = defaultdict(set)
    for record in records:
        for key in record.values:
            holders[key].add(record.run.name)
    for key, names in sorted(holders.items()):
        computation = computation_key(key)
        for record in records:
            if (
                record.run.name not in names
                and computation not in record.left_out
                and computation not in record.errors
            ):
                comparison.fail(
                    "missing key", key, f"{record.run.name} lacks this result"
                )


def _merge_references(
    comparison: Comparison, records: Sequence[Record]
) -> dict[str, Any]:
    """Merge the references, which must be the same in every run."""
    merged: dict[str, Any] = {}
    for record in records:
        for key, value in record.references.items():
            known = merged.setdefault(key, value)
            if known.shape != value.shape or not np.allclose(
                known, value, rtol=1e-12, atol=1e-12
            ):
                comparison.fail(
                    "reference",
                    key,
                    f"{record.run.name} has a different reference",
                )
    return merged


def _compare_key(
    comparison: Comparison,
    key: str,
    records: Sequence[Record],
    references: dict[str, Any],
    scale: float,
) -> None:
    holders = {r.run.name: r for r in records if key in r.values}
    for name, record in holders.items():
        if not np.all(np.isfinite(record.values[key])):
            comparison.fail("not finite", key, f"{name} has NaN or infinity")
    values = {name: r.values[key] for name, r in holders.items()}
    reference = references.get(reference_key(key))
    if reference is not None:
        values[REFERENCE] = reference
    for kind, found in (
        ("shape", {n: v.shape for n, v in values.items()}),
        ("dtype", {n: r.dtypes[key] for n, r in holders.items()}),
    ):
        if len(set(found.values())) > 1:
            comparison.fail(kind, key, f"{kind}s differ: {found}")
            return
    dtype = next(iter(holders.values())).dtypes[key]
    for difference in _differences(key, values, scale, dtype):
        comparison.differences.append(difference)
        if not difference.within:
            comparison.fail(
                "tolerance",
                key,
                f"{' and '.join(difference.runs)} differ by "
                f"{difference.relative:.1e} of scale; limit "
                f"{difference.limit:.0e}",
            )


def _scales(records: Sequence[Record]) -> dict[str, float]:
    """The largest absolute value of each computation, over all its arrays.

    A single array is not enough: a gradient that is zero except for rounding,
    such as that of a bias before a softmax, has no scale.
    """
    scales: dict[str, float] = defaultdict(float)
    for record in records:
        for key, value in record.values.items():
            computation = computation_key(key)
            scales[computation] = max(scales[computation], _largest(value))
    return scales


def _differences(
    key: str, values: dict[str, Any], scale: float, dtype: str
) -> Iterator[Difference]:
    case, policy, kind, array = key.split("/", 3)
    wide = {name: value.astype("float64") for name, value in values.items()}
    reference = wide.get(REFERENCE)
    for first, second in itertools.combinations(wide, 2):
        a, b = wide[first], wide[second]
        absolute = _largest(a - b)
        farther = None
        if reference is not None and second != REFERENCE:
            errors = {n: _largest(wide[n] - reference) for n in (first, second)}
            if errors[first] != errors[second]:
                farther = max(errors, key=lambda n: errors[n])
        yield Difference(
            case=case,
            dtype=policy,
            kind=kind,
            array=array,
            runs=(first, second),
            absolute=absolute,
            relative=absolute / scale if scale else absolute,
            ulps=_ulps(a, b, dtype),
            limit=tolerance(kind, policy).limit,
            farther=farther,
        )


def _largest(x: Any) -> float:
    return float(np.max(np.abs(x))) if x.size else 0.0


def _ulps(a: Any, b: Any, dtype: str) -> float:
    """The largest difference in units in the last place of the larger value."""
    if dtype not in BITS:
        return _largest(a - b)
    _, exponent = np.frexp(np.maximum(np.abs(a), np.abs(b)))
    return _largest(np.ldexp(a - b, BITS[dtype] - exponent))
