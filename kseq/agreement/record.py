"""What one run computed, as one file that can be carried to another machine."""

import datetime
import hashlib
import io
import json
import platform
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kseq.agreement.tables import DTYPES, KINDS
from kseq.checks import (
    check_one_of,
    check_path,
    is_real,
    raise_invalid,
)
from kseq.files import replacing
from kseq.installed import versions

FORMAT = 3


@dataclass
class Run:
    """Where and of what a record was made."""

    name: str
    backend: str
    device: str
    fingerprint: str
    versions: dict[str, str]
    machine: str
    made: str
    finished: bool = False


@dataclass
class Record:
    """The results of one run.

    `values` and `references` are keyed by `case/dtype/kind/array`, the latter
    without "_compiled"; `dtypes` says what dtype a value had, which a file
    cannot for bfloat16; `left_out` says why something was not asked for, and
    `errors` why it could not be computed, keyed by `case/dtype/kind`.
    """

    run: Run
    values: dict[str, Any] = field(default_factory=dict)
    dtypes: dict[str, str] = field(default_factory=dict)
    references: dict[str, Any] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def add(
        self, case: str, dtype: str, kind: str, values: Mapping[str, Any]
    ) -> None:
        """Keep what a case gave: tensors of the backend by name."""
        for name, value in values.items():
            key = f"{case}/{dtype}/{kind}/{name}"
            if key in self.values:
                raise_invalid("case", "one result for each key", key)
            array = _real(key, to_numpy(value))
            self.dtypes[key] = keras.backend.standardize_dtype(value.dtype)
            self.values[key] = array

    def add_references(
        self, case: str, dtype: str, kind: str, references: Mapping[str, Any]
    ) -> None:
        """Keep what the float64 reference gives."""
        for name, value in references.items():
            key = reference_key(f"{case}/{dtype}/{kind}/{name}")
            self.references[key] = _real(key, np.asarray(value))

    def references_of(self, case: str, dtype: str, kind: str) -> dict[str, Any]:
        """What the float64 reference gives, by name."""
        start = reference_key(f"{case}/{dtype}/{kind}/")
        return {
            key.removeprefix(start): value
            for key, value in self.references.items()
            if key.startswith(start)
        }

    def leave_out(self, case: str, dtype: str, kind: str, why: str) -> None:
        """Say why something is not in this record."""
        self.left_out[f"{case}/{dtype}/{kind}"] = why

    def fail(self, case: str, dtype: str, kind: str, error: Exception) -> None:
        """Keep why something could not be computed."""
        text = str(error).strip().splitlines() or [""]
        self.errors[f"{case}/{dtype}/{kind}"] = (
            f"{type(error).__name__}: {text[0]}"
        )

    def save(self, path: str | Path) -> None:
        """Write the record; a failure leaves an older file whole."""
        header = {
            "format": FORMAT,
            "run": asdict(self.run),
            "dtypes": self.dtypes,
            "references": [*self.references],
            "left_out": self.left_out,
            "errors": self.errors,
        }
        arrays = {f"value/{k}": v for k, v in self.values.items()}
        arrays |= {f"reference/{k}": v for k, v in self.references.items()}
        # Not into the file: where the disk is full, NumPy 2.1 leaves an archive
        # open that complains when it is collected.
        made = io.BytesIO()
        np.savez_compressed(made, header=np.array(json.dumps(header)), **arrays)
        with replacing(Path(path)) as file:
            file.write(made.getvalue())


def new_record(name: str, device: str, fingerprint: str) -> Record:
    """An empty record of this process."""
    return Record(
        Run(
            name=name,
            backend=keras.backend.backend(),
            device=device,
            fingerprint=fingerprint,
            versions=versions(),
            machine=f"{platform.system()} {platform.machine()}",
            made=datetime.datetime.now(datetime.UTC).isoformat(
                timespec="seconds"
            ),
        )
    )


def load_record(path: str | Path) -> Record:
    """Read a record.

    Raises:
        ValueError: the file is no record, is damaged, or was written by
            another version of kseq.
    """
    path = check_path("path", path)
    try:
        header, arrays = _read(path)
        written = header["format"]
        if written == FORMAT:
            return _record_of(header, arrays)
    # What is raised depends on where a file is damaged, and whose it is.
    except Exception as e:
        raise_invalid(str(path), "a record written by kseq.agreement", repr(e))
    raise_invalid(
        str(path),
        f"a record of format {FORMAT} (this one is of another version of kseq: "
        "compute it again)",
        written,
    )


def _read(path: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header and the arrays of a file that is whole.

    No code is run from it: a pickled array is refused.
    """
    # Opened here: of a damaged file np.load leaves its handle open.
    with (
        open(path, "rb") as opened,
        np.load(opened, allow_pickle=False) as file,
    ):
        # Before an array of a damaged size is asked for.
        if damaged := file.zip.testzip():
            raise zipfile.BadZipFile(f"damaged: {damaged}")
        header = json.loads(str(file["header"]))
        names = [name for name in file.files if name != "header"]
        return header, {name: file[name] for name in names}


def _record_of(header: dict[str, Any], arrays: dict[str, Any]) -> Record:
    """The record that a file of this format holds, if it is one."""
    record = Record(
        Run(**header["run"]),
        dtypes=header["dtypes"],
        left_out=header["left_out"],
        errors=header["errors"],
    )
    for key, array in arrays.items():
        group, case, dtype, kind, name = key.split("/", 4)
        check_one_of("dtype", dtype, DTYPES)
        check_one_of("kind", kind, KINDS)
        held = {"value": record.values, "reference": record.references}[group]
        held[f"{case}/{dtype}/{kind}/{name}"] = _real(key, array)
    # A damaged file may lack some without a word.
    told_of = [{*record.dtypes}, {*header["references"]}]
    if [{*record.values}, {*record.references}] != told_of:
        raise_invalid("arrays", "all that the header tells of", [*arrays])
    run = asdict(record.run)
    finished = run.pop("finished")
    told = (record.dtypes, record.left_out, record.errors, run.pop("versions"))
    texts = [*run.values(), *(text for each in told for text in each.values())]
    if not isinstance(finished, bool) or {*map(type, texts)} - {str}:
        raise_invalid("header", "texts", header)
    return record


def _real(key: str, array: Any) -> Any:
    """Refuse what cannot be compared, when it is kept and when it is read."""
    if not is_real(array):
        raise_invalid(key, "an array of real numbers", array.dtype.name)
    return array


def to_numpy(value: Any) -> Any:
    """A tensor as an array that a file can hold: bfloat16 as float32."""
    array = np.asarray(keras.ops.convert_to_numpy(value))
    return array.astype("float32") if array.dtype.kind == "V" else array


def reference_key(key: str) -> str:
    """The reference's key for a value's: it knows no compiler."""
    case, dtype, kind, name = key.split("/", 3)
    return f"{case}/{dtype}/{kind.removesuffix('_compiled')}/{name}"


def fingerprint(sources: Mapping[str, Path]) -> str:
    """A hash of the sources that a record was made from, by their names.

    Records of different sources must not be compared: a stale one could hide a
    fault, or invent one.
    """
    digest = hashlib.sha256()
    for name, path in sorted(sources.items()):
        digest.update(name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
