"""Compare the records of several runs."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from kseq.agreement.known import Known, known_from
from kseq.agreement.measure import NAMED, NO_MASKS
from kseq.agreement.record import (
    LAYERS,
    RUN_FILE,
    Entry,
    Record,
    Result,
    Run,
    load_record,
)
from kseq.agreement.tables import KINDS, LEFT_OUT, tolerance
from kseq.agreement.values import (
    REFERENCE,
    Finding,
    Limits,
    differing_texts,
    find_difference,
    first_call,
    floor_of,
    largest,
)
from kseq.checks import check_items, check_path, raise_invalid

SEQUENCES = re.compile(rf"({NAMED}|tuple|list)\(")
# A backend may leave out what the table lists, but not alone for other reasons.
REASONS = {entry.reason for entry in LEFT_OUT}


@dataclass(frozen=True)
class Failure:
    """One reason why the runs do not agree.

    Args:
        test: the test's node id, or an empty string for a whole run.
        where: the call, dtype, kind and array.
        text: what differs, with values.
        runs: the runs that differ from the largest group.
        kind: the kind of computation.
        policy: the dtype policy.
        call: the number of the call in the test.
        file: the test's file.
        line: the test's line, from 1; 0 if it is unknown.
    """

    test: str
    where: str
    text: str
    runs: tuple[str, ...] = ()
    kind: str = ""
    policy: str = ""
    call: int = 0
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        return ": ".join(x for x in (self.where, self.text) if x)


@dataclass(frozen=True)
class Difference:
    """The largest difference of one array, relative to its largest value."""

    test: str
    policy: str
    kind: str
    array: str
    between_runs: float
    to_reference: Mapping[str, float]
    limit: float


def gone(known: Known) -> str:
    return (
        f"the known difference of {known.backend} in {known.test} is gone "
        f"({known.reason}); remove it"
    )


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


@dataclass
class Comparison:
    """The result of a comparison.

    Args:
        runs: the compared runs.
        tests: the number of compared tests.
        failures: why the runs do not agree.
        differences: the largest difference of each array.
        explained: tests by function of Keras that computes in 32 bits.
        known: whether each known difference was seen, if it was computed.

    Example:
        >>> from kseq.agreement import Comparison
        >>> comparison = Comparison([])
        >>> comparison.agrees
        True
        >>> comparison.fail("test_a", "float32 forward", "torch alone differs")
        >>> comparison.agrees, str(comparison.failures[0])
        (False, 'float32 forward: torch alone differs')
    """

    runs: list[Run]
    tests: int = 0
    failures: list[Failure] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    explained: dict[str, set[str]] = field(default_factory=dict)
    known: dict[Known, bool] = field(default_factory=dict)

    @property
    def gone(self) -> list[Known]:
        """Known differences of which no test differs any more."""
        return [known for known, seen in self.known.items() if not seen]

    @property
    def agrees(self) -> bool:
        return not self.failures

    @property
    def notes(self) -> list[str]:
        """What is not a failure, but should be known."""
        return [
            f"float64 is computed in 32 bits by {function} (Keras); "
            f"{counted(len(tests), 'test')} held to float32's limits"
            for function, tests in sorted(self.explained.items())
        ]

    def fail(self, test: str, where: str, text: str, *runs: str) -> None:
        self.failures.append(Failure(test, where, text, runs))


def compare(
    folder: str | Path,
    runs: Sequence[str] | None = None,
    known: Sequence[Known] = (),
    explain: bool = True,
) -> Comparison:
    """Compare the records in a directory with each other and the reference.

    Args:
        folder: a directory with one record, a directory, per run.
        runs: the names of the runs to compare, all of them required. By
            default all runs in the directory are compared.
        known: differences that are expected.
        explain: whether float64 results are held to float32's limits where
            Keras itself computes in 32 bits.

    Returns:
        The comparison, with the failures.

    Raises:
        ValueError: if the directory does not exist or has no records, one of
            them is damaged, or `runs` is not a sequence of names.

    Example:
        >>> import tempfile
        >>> from kseq.agreement import compare
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     compare(folder)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        ValueError: folder: expected a directory with records; received ...
    """
    folder = check_path("folder", folder)
    if runs is not None:
        runs = check_items("runs", runs, str, "a sequence of run names")
    paths = sorted(path.parent for path in folder.glob(f"*/{RUN_FILE}"))
    if not paths:
        raise_invalid("folder", "a directory with records", str(folder))
    if runs is not None:
        paths = [path for path in paths if path.name in runs]
    records = [load_record(path) for path in paths]
    return compare_records(records, runs or (), known, explain)


def compare_records(
    records: Sequence[Record],
    runs: Sequence[str] = (),
    known: Sequence[Known] = (),
    explain: bool = True,
) -> Comparison:
    """Compare records that are already loaded; see `compare`."""
    comparison = Comparison([record.run for record in records])
    _check_runs(comparison, records, runs)
    tests = list(dict.fromkeys(t for r in records for t in r.results))
    for test in tests:
        results = {r.run.name: r.results.get(test) for r in records}
        backends = {r.run.name: r.run.backend for r in records}
        applying = [k for k in known if k.matches_test(test)]
        compare_test(comparison, test, results, backends, applying, explain)
    for entry in {*known} & {*comparison.gone}:
        comparison.fail("", "", gone(entry))
    return comparison


def _check_runs(
    comparison: Comparison, records: Sequence[Record], runs: Sequence[str]
) -> None:
    names = [record.run.name for record in records]
    for name in runs:
        if name not in names:
            comparison.fail("", name, "there is no record of this run")
    if len(names) < 2:
        comparison.fail("", "", "fewer than two runs to compare")
    for record in records:
        if not any(result.entries for result in record.results.values()):
            comparison.fail("", record.run.name, "the record has no results")
        if not record.run.finished:
            comparison.fail("", record.run.name, "the run did not finish")
    fingerprints = {r.run.name: r.run.fingerprint for r in records}
    finding = differing_texts("their sources", fingerprints)
    if finding:
        comparison.fail(
            "", "", f"{finding.text}; delete or compute the old records again"
        )


def compare_test(
    comparison: Comparison,
    test: str,
    results: Mapping[str, Result | None],
    backends: Mapping[str, str],
    known: Sequence[Known] = (),
    explain: bool = True,
) -> None:
    """Compare one test between runs.

    Args:
        comparison: receives the failures and differences.
        test: the test's node id.
        results: the result of each run; None if there is none.
        backends: the backend of each run.
        known: the known differences that the configuration lists.
        explain: see `compare`.
    """
    marked = [
        replace(known_from(k), test=test)
        for r in results.values()
        if r
        for k in r.known
    ]
    marked = list(dict.fromkeys(marked))
    known = [*known, *marked]
    # A crash has no kind.
    crashing = {k.backend: k for k in known if k.kinds == KINDS}
    failures = []
    found: dict[str, Result] = {}
    for run, result in results.items():
        if result is None:
            text = f"{run} did not run this test"
            failures.append(Failure(test, "", text, (run,)))
        elif result.outcome == "failed" and backends[run] in crashing:
            comparison.known[crashing[backends[run]]] = True
        elif result.outcome == "failed":
            text = f"on {run}: {result.text}"
            failures.append(Failure(test, "", text, (run,)))
        elif result.outcome != "skipped":
            found[run] = result
    calls = {
        run: 1 + max((e.call for e in result.entries), default=-1)
        for run, result in found.items()
    }
    if finding := differing_texts("the number of calls", calls):
        failures.append(Failure(test, "", finding.text))
    entries: dict[Any, dict[str, Entry]] = {}
    for run, result in found.items():
        for entry in result.entries:
            entries.setdefault(entry.key, {})[run] = entry
    for by_run in entries.values():
        failures += _unexpected(
            comparison, test, by_run, backends, known, explain
        )
    failures += [
        Failure(test, "", gone(k)) for k in marked if k in comparison.gone
    ]
    given = next((r for r in results.values() if r and r.file), Result(test))
    comparison.failures += [
        replace(f, file=given.file, line=given.line) for f in failures
    ]
    comparison.tests += 1


def _unexpected(
    comparison: Comparison,
    test: str,
    entries: Mapping[str, Entry],
    backends: Mapping[str, str],
    known: Sequence[Known],
    explain: bool,
) -> list[Failure]:
    """Compare one computation, without the backends known to differ."""
    failures = list(compare_entries(comparison, test, entries, explain))
    first = next(iter(entries.values()))
    computed = {backends[run] for run, e in entries.items() if not e.left_out}
    applying = [
        k
        for k in known
        if k.backend in computed and k.matches(first.policy, first.kind)
    ]
    if not applying:
        return failures

    def without(left_out: set[str]) -> list[Failure]:
        rest = {r: e for r, e in entries.items() if backends[r] not in left_out}
        return list(compare_entries(Comparison([]), test, rest, explain))

    differing = {k.backend for k in applying}
    others = without(differing)
    for k in applying:
        comparison.known.setdefault(k, False)
        if len(without(differing - {k.backend})) > len(others):
            comparison.known[k] = True
    return others


def compare_entries(
    comparison: Comparison,
    test: str,
    entries: Mapping[str, Entry],
    explain: bool = True,
) -> Iterator[Failure]:
    """Compare one computation between runs, and yield the failures."""
    if not entries:
        return
    first = next(iter(entries.values()))
    where = f"{first.policy} {first.kind.replace('_', ' ')}"
    if first.call:
        where = f"call {first.call + 1}, {where}"
    if first.label:
        where = f"{first.label}, {where}"

    def failure(text: str, runs: Iterable[str], array: str = "") -> Failure:
        at = f"{where}, {array}" if array else where
        kind, policy, call = first.kind, first.policy, first.call
        return Failure(test, at, text, tuple(runs), kind, policy, call)

    def differs(finding: Finding, array: str = "") -> Failure:
        odd = (n for g in finding.groups[1:] for n in g if n != REFERENCE)
        return failure(finding.text, odd, array)

    errors = {run: e.error for run, e in entries.items() if e.error}
    for text in dict.fromkeys(errors.values()):
        runs = [run for run, error in errors.items() if error == text]
        cause = text.splitlines()[-1]
        text = f"{' and '.join(runs)} raised {cause}\n{text}"
        yield failure(text, runs)
    for text in dict.fromkeys(t for e in entries.values() for t in e.own):
        runs = [run for run, e in entries.items() if text in e.own]
        yield failure(f"on {' and '.join(runs)}: {text}", runs)
    given = {r: e for r, e in entries.items() if not e.error and not e.left_out}
    if not given:
        return
    for run, entry in entries.items():
        if entry.left_out and entry.left_out not in REASONS:
            text = f"{run} alone has no results: {entry.left_out}"
            yield failure(text, [run])
    facts = dict.fromkeys(n for e in given.values() for n in e.facts)
    found: set[str] = set()
    for fact in sorted(facts, key="arguments".__ne__):
        texts = {r: e.facts[fact] for r, e in given.items() if fact in e.facts}
        if any(NAMED in text for text in texts.values()):
            # What is a named tuple here may be a list or a tuple there.
            texts = {r: SEQUENCES.sub("(", text) for r, text in texts.items()}
        if explain and first.policy == "float64" and fact.endswith(" dtype"):
            for run, e in given.items():
                if e.narrowed and texts.get(run) == "float32":
                    texts[run] = "float64"
        finding = differing_texts(fact, texts)
        if finding and not _is_repeated(fact, found):
            found.add(fact)
            yield differs(finding)
            if fact == "arguments":  # what follows is a consequence
                return
    names = dict.fromkeys(n for e in given.values() for n in e.values)
    narrowed = sorted(
        {f"{run}'s {n}" for run, e in given.items() for n in e.narrowed}
    )
    for name in names:
        having = {run: e for run, e in given.items() if name in e.values}
        lacking = [
            run
            for run, e in given.items()
            if run not in having
            and not (name.startswith("mask of") and NO_MASKS in e.facts)
        ]
        if lacking and "structure" in found:
            continue
        if lacking:
            text = f"{' and '.join(lacking)} did not return this array"
            yield failure(text, lacking, name)
            continue
        # What 32 bits explain is not within the limits of float64.
        exact = {
            run: replace(e, sensitivities={}) if e.narrowed else e
            for run, e in having.items()
        }
        finding = _compare_array(comparison, test, name, exact, first.policy)
        if explain and narrowed and first.policy == "float64":
            wide = {run: e for run, e in having.items() if not e.narrowed}
            strict = _compare_array(None, test, name, wide, "float64")
            loose = _compare_array(None, test, name, having, "float32")
            if finding and not strict and not loose:
                for function in narrowed:
                    comparison.explained.setdefault(function, set()).add(test)
            finding = strict or loose
        if finding and not _is_repeated(name, found):
            found.add(name)
            yield differs(finding, name)
            if first.kind == LAYERS:  # what follows is a consequence
                return
        if first.finite:
            for run, e in having.items():
                value = e.values[name]
                if value is not None and not np.all(np.isfinite(value)):
                    text = f"{run} has NaN or infinity"
                    yield failure(text, (run,), name)


def _is_repeated(name: str, found: set[str]) -> bool:
    """Return whether the same was found for an earlier call."""
    return first_call(name) != name and first_call(name) in found


def _compare_array(
    comparison: Comparison | None,
    test: str,
    name: str,
    entries: Mapping[str, Entry],
    policy: str,
) -> Finding | None:
    if not entries:
        return None
    first = next(iter(entries.values()))
    values = {run: e.values[name] for run, e in entries.items()}
    references = [
        e.references[name] for e in entries.values() if name in e.references
    ]
    if references:
        values[REFERENCE] = references[0]
    # Measured for the first call; a repeated one computes the same.
    sensitivities = [
        e.sensitivities[first_call(name)]
        for e in entries.values()
        if first_call(name) in e.sensitivities
    ]
    given = [x for x in values.values() if x is not None]
    same_shape = len({np.shape(x) for x in (*given, *sensitivities)}) == 1
    kind = "forward" if first.kind == LAYERS else first.kind
    relative = tolerance(kind, policy).limit
    if policy == first.policy and first.relative is not None:
        relative = first.relative
    sensitivity = None
    if sensitivities and same_shape:
        sensitivity = np.max(sensitivities, axis=0)
    scale = max(floor_of(name, kind, e.values) for e in entries.values())
    fixed = policy == first.policy and first.relative is not None
    limits = Limits(relative, policy, scale, sensitivity, fixed)
    if comparison is not None and same_shape:
        comparison.differences.append(
            _difference(test, name, first, values, limits)
        )
    return find_difference(values, limits)


def _difference(
    test: str,
    name: str,
    entry: Entry,
    values: Mapping[str, Any],
    limits: Limits,
) -> Difference:
    wide = {
        run: np.nan_to_num(np.asarray(x, "float64"), posinf=0.0, neginf=0.0)
        for run, x in values.items()
        if x is not None
    }
    scale = max([limits.scale, *map(largest, wide.values())]) or 1.0
    reference = wide.pop(REFERENCE, None)
    stacked = np.stack([*wide.values()]) if wide else np.zeros((1, 0))
    apart = (stacked.max(axis=0) - stacked.min(axis=0)) / scale
    to_reference = {}
    if reference is not None:
        to_reference = {
            run: largest(x - reference) / scale for run, x in wide.items()
        }
    return Difference(
        test,
        entry.policy,
        entry.kind,
        name,
        largest(apart) if len(wide) > 1 else 0.0,
        to_reference,
        limits.relative,
    )
