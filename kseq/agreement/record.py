"""What one run computed, as one file that can be carried to another machine."""

import datetime
import hashlib
import json
import platform
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kseq.checks import check_path, refuse
from kseq.files import replacing
from kseq.installed import versions

FORMAT = 2


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
                refuse("case", "one result for each key", key)
            self.dtypes[key] = keras.backend.standardize_dtype(value.dtype)
            self.values[key] = to_numpy(value)

    def add_references(
        self, case: str, dtype: str, kind: str, references: Mapping[str, Any]
    ) -> None:
        """Keep what the float64 reference gives."""
        for name, value in references.items():
            key = reference_key(f"{case}/{dtype}/{kind}/{name}")
            self.references[key] = np.asarray(value)

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
            "left_out": self.left_out,
            "errors": self.errors,
        }
        arrays = {f"value/{k}": v for k, v in self.values.items()}
        arrays |= {f"reference/{k}": v for k, v in self.references.items()}
        with replacing(Path(path)) as file:
            np.savez_compressed(
                file, header=np.array(json.dumps(header)), **arrays
            )


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
        # Opened here: of a damaged file np.load leaves its handle open.
        with open(path, "rb") as opened, np.load(opened) as file:
            header = json.loads(str(file["header"]))
            arrays = {key: file[key] for key in file.files}
        written = header["format"]
    except (
        OSError,
        EOFError,
        KeyError,
        TypeError,
        ValueError,
        zipfile.BadZipFile,
    ) as e:
        refuse(str(path), "a record written by kseq.agreement", repr(e))
    if written != FORMAT:
        refuse(str(path), f"a record of format {FORMAT}", written)
    record = Record(
        Run(**header["run"]),
        dtypes=header["dtypes"],
        left_out=header["left_out"],
        errors=header["errors"],
    )
    for key, array in arrays.items():
        kind, _, name = key.partition("/")
        if kind == "value":
            record.values[name] = array
        elif kind == "reference":
            record.references[name] = array
    if record.values.keys() != record.dtypes.keys():
        refuse(
            str(path), "a whole record", "one whose arrays are not all there"
        )
    return record


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
