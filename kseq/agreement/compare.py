"""Reads the records of all runs and finds where they differ."""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kseq.agreement.record import Record, load_record, reference_key
from kseq.agreement.tables import BITS, tolerance
from kseq.checks import check_items, check_path, raise_invalid

REFERENCE = "reference"


@dataclass(frozen=True)
class Difference:
    """Two runs' results for one array; the second may be the reference."""

    case: str
    dtype: str
    kind: str
    array: str
    runs: tuple[str, str]
    absolute: float
    relative: float  # in units of the computation's largest value
    ulps: float
    limit: float
    farther: str | None  # which of the two is farther from the reference

    @property
    def within(self) -> bool:
        # Not `>`: a NaN must not pass.
        return bool(self.relative <= self.limit)


@dataclass(frozen=True)
class Failure:
    """Why records do not agree."""

    kind: str
    where: str
    what: str


@dataclass
class Comparison:
    """All that a comparison found."""

    runs: list[Any]
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
    """Compare the records of a folder, each with each and with the reference.

    Args:
        folder: holds one `<run>.npz` for each run.
        runs: names of the runs to compare, which must be there; None: all that
            are there.

    Returns:
        A comparison, which fails on: a run that is not there, or did not
        finish; records made from different sources; a record without results; a
        computation that raised an error; a key that one run has and another
        lacks without a reason; a shape or dtype that differs; a value that is
        not finite; a difference beyond its tolerance (`kseq.agreement.tables`).

    Raises:
        ValueError: there is no such folder, it holds no record, one of its
            files is none, or `runs` are no names.
    """
    folder = check_path("folder", folder)
    if runs is not None:
        runs = check_items("runs", runs, str, "a list of runs' names")
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise_invalid("folder", "a folder with records (*.npz)", str(folder))
    if runs is not None:
        paths = [path for path in paths if path.stem in runs]
    return compare_records([load_record(path) for path in paths], runs or ())


def compare_records(
    records: Sequence[Record], runs: Sequence[str] = ()
) -> Comparison:
    """As `compare`, of records at hand."""
    comparison = Comparison([record.run for record in records])
    _check_runs(comparison, records, runs)
    _check_keys(comparison, records)
    references = _merge_references(comparison, records)
    for key in sorted({key for record in records for key in record.values}):
        _compare_key(comparison, key, records, references)
    return comparison


def _check_runs(
    comparison: Comparison, records: Sequence[Record], runs: Sequence[str]
) -> None:
    names = [record.run.name for record in records]
    for name in runs:
        if name not in names:
            comparison.fail("missing run", name, "no record of this run")
    for name in {name for name in names if names.count(name) > 1}:
        comparison.fail("double run", name, "two records of this run")
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
    fingerprints = {record.run.fingerprint for record in records}
    if len(fingerprints) > 1:
        made = {r.run.name: r.run.fingerprint for r in records}
        comparison.fail(
            "different sources",
            "",
            "records of different sources (compute the old ones again, or "
            f"delete them): {made}",
        )


def _check_keys(comparison: Comparison, records: Sequence[Record]) -> None:
    """Whatever one run has, every other has too, or says why not."""
    holders = defaultdict(set)
    for record in records:
        for key in record.values:
            holders[key].add(record.run.name)
    for key, names in sorted(holders.items()):
        computation = key.rsplit("/", 1)[0]
        for record in records:
            if (
                record.run.name not in names
                and computation not in record.left_out
                and computation not in record.errors
            ):
                comparison.fail(
                    "missing key", key, f"{record.run.name} has no such result"
                )


def _merge_references(
    comparison: Comparison, records: Sequence[Record]
) -> dict[str, Any]:
    """The references, which every run must have made alike."""
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
                    f"{record.run.name} made another reference",
                )
    return merged


def _compare_key(
    comparison: Comparison,
    key: str,
    records: Sequence[Record],
    references: dict[str, Any],
) -> None:
    held = {r.run.name: r for r in records if key in r.values}
    for name, record in held.items():
        if not np.all(np.isfinite(record.values[key])):
            comparison.fail("not finite", key, f"{name} has NaN or infinity")
    values = {name: r.values[key] for name, r in held.items()}
    reference = references.get(reference_key(key))
    if reference is not None:
        values[REFERENCE] = reference
    for kind, told in (
        ("shape", {n: v.shape for n, v in values.items()}),
        ("dtype", {n: r.dtypes[key] for n, r in held.items()}),
    ):
        if len(set(told.values())) > 1:
            comparison.fail(kind, key, f"{kind}s differ: {told}")
            return
    dtype = next(iter(held.values())).dtypes[key]
    scale = _scale(key, held)
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


def _scale(key: str, held: dict[str, Record]) -> float:
    """The largest value of the whole computation: all outputs, or gradients.

    Not of the array alone: a gradient that is 0 but for rounding, such as that
    of a bias before a softmax, has no scale of its own.
    """
    computation = key.rsplit("/", 1)[0] + "/"
    largest = 0.0
    for record in held.values():
        for other, value in record.values.items():
            if other.startswith(computation) and value.size:
                largest = max(largest, float(np.max(np.abs(value))))
    return largest


def _differences(
    key: str, values: dict[str, Any], scale: float, dtype: str
) -> Iterator[Difference]:
    case, asked, kind, array = key.split("/", 3)
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
            dtype=asked,
            kind=kind,
            array=array,
            runs=(first, second),
            absolute=absolute,
            relative=absolute / scale if scale else absolute,
            ulps=_ulps(a, b, dtype),
            limit=tolerance(kind, asked).limit,
            farther=farther,
        )


def _largest(x: Any) -> float:
    return float(np.max(np.abs(x))) if x.size else 0.0


def _ulps(a: Any, b: Any, dtype: str) -> float:
    """The largest difference in units in the last place of the larger."""
    if dtype not in BITS:
        return _largest(a - b)
    _, exponent = np.frexp(np.maximum(np.abs(a), np.abs(b)))
    return _largest(np.ldexp(a - b, BITS[dtype] - exponent))
