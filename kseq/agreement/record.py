"""Records: the results of one run, in a directory with one file per test."""

import datetime
import hashlib
import io
import json
import platform
import re
import zipfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kseq.agreement.tables import KINDS, POLICIES
from kseq.checks import check_one_of, check_path, is_real, raise_invalid
from kseq.files import replace_text, replacing
from kseq.installed import versions

FORMAT = 4
RUN_FILE = "run.json"
CURRENT = "current.txt"  # the test that is running
LOG = "pytest.log"
GROUPS = ("values", "references", "sensitivities", "arguments")
LAYERS = "layers"  # the kind of `localize`


@dataclass
class Run:
    """How, where and from which sources a record was computed."""

    name: str
    backend: str
    device: str
    fingerprint: str
    versions: dict[str, str]
    machine: str
    made: str
    finished: bool = False


@dataclass
class Entry:
    """One computation: a call in a test, its dtype policy and kind.

    Args:
        call: the number of the call in its test, from 0.
        label: the name of the layer or function.
        policy: the dtype policy.
        kind: the kind of computation.
        values: arrays by name; None for a gradient that does not exist.
        facts: texts by name, such as dtypes, which must be equal.
        references: the float64 reference by name.
        sensitivities: see `kseq.agreement.measure.sensitivities`.
        relative: the limit, or None for the default.
        finite: whether NaN and infinity are failures.
        left_out: why there are no results, or an empty string.
        error: the traceback of the error that it raised, or an empty string.
        narrowed: functions of Keras that computed float64 in float32.
        own: what is wrong on this backend alone, such as an eager and a
            compiled call that differ.
        imports: for a script: the line that imports the function.
        expression: for a script: the expression of the call.
        arguments: for a script: the arrays of the call.
    """

    call: int
    label: str
    policy: str
    kind: str
    values: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    references: dict[str, Any] = field(default_factory=dict)
    sensitivities: dict[str, Any] = field(default_factory=dict)
    relative: float | None = None
    finite: bool = False
    left_out: str = ""
    error: str = ""
    narrowed: list[str] = field(default_factory=list)
    own: list[str] = field(default_factory=list)
    imports: str = ""
    expression: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[int, str, str]:
        return self.call, self.policy, self.kind


@dataclass
class Result:
    """A test on one backend.

    Args:
        test: the test's node id.
        file: the test's file, relative to pytest's root directory.
        line: the test's line, from 1.
        outcome: "passed", "failed" or "skipped".
        text: why the test was skipped or failed.
        entries: its computations.
        known: the arguments of its `agreement_known` markers.
    """

    test: str
    file: str = ""
    line: int = 0
    outcome: str = "passed"
    text: str = ""
    entries: list[Entry] = field(default_factory=list)
    known: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Record:
    """The results of one run, by test.

    Args:
        run: how, where and from which sources the results were computed.
        results: the result of each test, by node id.

    Example:
        >>> from kseq.agreement import load_record
        >>> try:
        ...     record = load_record("records/torch")
        ... except ValueError:
        ...     record = None  # there is none, or it is damaged
    """

    run: Run
    results: dict[str, Result] = field(default_factory=dict)


def new_run(name: str, backend: str, device: str, fingerprint: str) -> Run:
    """Describe this process."""
    made = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return Run(
        name=name,
        backend=backend,
        device=device,
        fingerprint=fingerprint,
        versions=versions(),
        machine=f"{platform.system()} {platform.machine()}",
        made=made,
    )


def save_run(folder: Path, run: Run) -> None:
    replace_text(folder / RUN_FILE, json.dumps(asdict(run), indent=1))


def save_result(folder: Path, result: Result) -> None:
    """Write the result of one test; a file of the same test is replaced."""
    header = {"format": FORMAT, **asdict(result)}
    arrays = {}
    for i, entry in enumerate(header["entries"]):
        for group in GROUPS:
            for name, value in entry[group].items():
                if value is not None:
                    arrays[f"{i}/{group}/{name}"] = np.asarray(value)
            entry[group] = [*entry[group]]
    # Not directly into the file: when the disk is full, NumPy 2.1 leaves an
    # archive open, which fails again when it is garbage-collected.
    buffer = io.BytesIO()
    arrays["header"] = np.array(json.dumps(header))
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    with replacing(folder / result_file(result.test)) as file:
        file.write(buffer.getvalue())


def result_file(test: str) -> str:
    return hashlib.sha256(test.encode()).hexdigest()[:16] + ".npz"


def clear_record(folder: Path) -> None:
    """Delete the results of an earlier run from the directory of a record.

    Raises:
        ValueError: if the directory has other files.
    """
    if not folder.exists():
        return
    ours = [
        path
        for path in folder.iterdir()
        if path.name in (RUN_FILE, CURRENT, LOG)
        or re.fullmatch(r"[0-9a-f]{16}\.npz", path.name)
    ]
    if len(ours) < len([*folder.iterdir()]):
        expected = "a new directory, or that of an earlier record"
        raise_invalid("--agreement-record", expected, str(folder))
    for path in ours:
        path.unlink()


def load_record(folder: str | Path) -> Record:
    """Load a record from its directory.

    Args:
        folder: what `pytest --agreement-record=FOLDER` has written.

    Returns:
        The record.

    Raises:
        ValueError: if the directory is not a record, a file is damaged, or it
            was written by another version of kseq.

    Example:
        >>> from kseq.agreement import load_record
        >>> load_record("not/a/record")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        ValueError: not/a/record/run.json: expected a run ...
    """
    folder = check_path("folder", folder)
    path = folder / RUN_FILE
    try:
        run = Run(**json.loads(path.read_text(encoding="utf-8")))
        _check_texts(run)
        # A directory may have been renamed, as artifacts of CI are.
        run.name = folder.absolute().name
    except Exception as error:  # a damaged file can raise nearly anything
        raise_invalid(str(path), "a run written by kseq.agreement", repr(error))
    found = map(load_result, sorted(folder.glob("*.npz")))
    return Record(run, {result.test: result for result in found})


def _check_texts(run: Run) -> None:
    fields = asdict(run)
    if not isinstance(fields.pop("finished"), bool):
        raise_invalid("finished", "True or False", run.finished)
    texts = [*fields.pop("versions").values(), *fields.values()]
    if {*map(type, texts)} != {str}:
        raise_invalid("run", "strings in every field", texts)


def load_result(path: Path) -> Result:
    """Load the result of one test.

    Pickled arrays raise an error, so no code from the file is executed.
    """
    try:
        # Opened here because np.load does not close a damaged file.
        with (
            open(path, "rb") as opened,
            np.load(opened, allow_pickle=False) as file,
        ):
            # First, so that no array with a damaged size is allocated.
            if damaged := file.zip.testzip():
                raise zipfile.BadZipFile(f"damaged: {damaged}")
            header = json.loads(str(file["header"]))
            arrays = {n: file[n] for n in file.files if n != "header"}
            version = header.pop("format")
            if version == FORMAT:
                return _result(header, arrays)
    except Exception as error:  # a damaged file can raise nearly anything
        raise_invalid(
            str(path), "a result written by kseq.agreement", repr(error)
        )
    raise_invalid(
        str(path),
        f"a result of format {FORMAT} (this one was written by another version "
        "of kseq; compute it again)",
        version,
    )


def _result(header: dict[str, Any], arrays: dict[str, Any]) -> Result:
    """Build a result from a file's contents, and validate it."""
    entries = []
    for i, fields in enumerate(header.pop("entries")):
        for group in GROUPS:
            # A damaged archive can lack arrays without an error.
            named = {
                n: arrays.pop(f"{i}/{group}/{n}", None) for n in fields[group]
            }
            for name, array in named.items():
                optional = group == "values" and fields["kind"].startswith(
                    "grad"
                )
                if array is None and optional:
                    continue
                if array is None or not is_real(array):
                    raise_invalid(name, "an array of numbers", array)
            fields[group] = named
        check_one_of("policy", fields["policy"], POLICIES)
        check_one_of("kind", fields["kind"], (*KINDS, LAYERS))
        entries.append(Entry(**fields))
    if arrays:
        raise_invalid("arrays", "the arrays that the header lists", [*arrays])
    return Result(entries=entries, **header)


def fingerprint(paths: Iterable[Path]) -> str:
    """Hash the names and contents of the sources of a record.

    Records computed from different sources must not be compared: an outdated
    one could hide a fault or show one that is already fixed.
    """
    # In an order that does not depend on where the files are.
    files = sorted((path.name, path.read_bytes()) for path in {*paths})
    digest = hashlib.sha256()
    for name, content in files:
        digest.update(name.encode())
        digest.update(content)
    return digest.hexdigest()[:16]
