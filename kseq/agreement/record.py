"""Save the results of one run to a portable .npz file."""

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
from kseq.checks import check_one_of, check_path, is_real, raise_invalid
from kseq.files import replacing
from kseq.installed import versions

FORMAT = 3


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
class Record:
    """The results of one run.

    The keys of `values`, `dtypes` and `references` are `case/dtype/kind/array`,
    where the kinds of references lack "_compiled". `dtypes` has the dtypes of
    the tensors, since a file stores bfloat16 as float32. The keys of
    `left_out`, the reasons for skipped computations, and of `errors` are
    `case/dtype/kind`.
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
        """Add the results of a case: tensors of the backend by name."""
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
        """Add the results of the float64 reference."""
        for name, value in references.items():
            key = reference_key(f"{case}/{dtype}/{kind}/{name}")
            self.references[key] = _real(key, np.asarray(value))

    def references_of(self, case: str, dtype: str, kind: str) -> dict[str, Any]:
        """Return the results of the float64 reference by name."""
        start = reference_key(f"{case}/{dtype}/{kind}/")
        return {
            key.removeprefix(start): value
            for key, value in self.references.items()
            if key.startswith(start)
        }

    def leave_out(self, case: str, dtype: str, kind: str, why: str) -> None:
        """Add the reason why a computation was skipped."""
        self.left_out[f"{case}/{dtype}/{kind}"] = why

    def fail(self, case: str, dtype: str, kind: str, error: Exception) -> None:
        """Add the error that a computation raised."""
        text = str(error).strip().splitlines() or [""]
        self.errors[f"{case}/{dtype}/{kind}"] = (
            f"{type(error).__name__}: {text[0]}"
        )

    def save(self, path: str | Path) -> None:
        """Write the record; on failure an existing file is left unchanged."""
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
        # Not directly into the file: when the disk is full, NumPy 2.1 leaves an
        # archive open, which fails again when it is garbage-collected.
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer, header=np.array(json.dumps(header)), **arrays
        )
        with replacing(Path(path)) as file:
            file.write(buffer.getvalue())


def new_record(name: str, device: str, fingerprint: str) -> Record:
    """Create an empty record that describes this process."""
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
    """Load a record from a file.

    Raises:
        ValueError: if the file is not a record, is damaged, or was written by
            another version of kseq.
    """
    path = check_path("path", path)
    try:
        header, arrays = _read(path)
        version = header["format"]
        if version == FORMAT:
            return _record_of(header, arrays)
    # A damaged or foreign file can raise nearly anything.
    except Exception as e:
        raise_invalid(str(path), "a record written by kseq.agreement", repr(e))
    raise_invalid(
        str(path),
        f"a record of format {FORMAT} (this one was written by another version "
        "of kseq; compute it again)",
        version,
    )


def _read(path: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the header and the arrays of an undamaged file.

    Pickled arrays raise an error, so no code from the file is executed.
    """
    # Opened here because np.load does not close a damaged file.
    with (
        open(path, "rb") as opened,
        np.load(opened, allow_pickle=False) as file,
    ):
        # First, so that no array with a damaged size is allocated.
        if damaged := file.zip.testzip():
            raise zipfile.BadZipFile(f"damaged: {damaged}")
        header = json.loads(str(file["header"]))
        names = [name for name in file.files if name != "header"]
        return header, {name: file[name] for name in names}


def _record_of(header: dict[str, Any], arrays: dict[str, Any]) -> Record:
    """Build a record from a file's contents, and validate all of it."""
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
        groups = {"value": record.values, "reference": record.references}
        groups[group][f"{case}/{dtype}/{kind}/{name}"] = _real(key, array)
    # A damaged archive can lack arrays without an error.
    listed = [{*record.dtypes}, {*header["references"]}]
    if [{*record.values}, {*record.references}] != listed:
        raise_invalid("arrays", "all arrays that the header lists", [*arrays])
    run = asdict(record.run)
    finished = run.pop("finished")
    fields = (
        run.pop("versions"),
        record.dtypes,
        record.left_out,
        record.errors,
    )
    texts = [*run.values(), *(v for each in fields for v in each.values())]
    if not isinstance(finished, bool) or {*map(type, texts)} - {str}:
        raise_invalid("header", "strings in every field", header)
    return record


def _real(key: str, array: Any) -> Any:
    """Require an array that can be compared, on saving and on loading."""
    if not is_real(array):
        raise_invalid(key, "an array of real numbers", array.dtype.name)
    return array


def to_numpy(value: Any) -> Any:
    """Convert a tensor to an array that a file can store.

    Bfloat16 becomes float32.
    """
    array = np.asarray(keras.ops.convert_to_numpy(value))
    return array.astype("float32") if array.dtype.kind == "V" else array


def computation_key(key: str) -> str:
    """Return the `case/dtype/kind` of a key; array names may contain "/"."""
    return "/".join(key.split("/", 3)[:3])


def reference_key(key: str) -> str:
    """Return the key of the reference for the key of a value."""
    case, dtype, kind, name = key.split("/", 3)
    return f"{case}/{dtype}/{kind.removesuffix('_compiled')}/{name}"


def fingerprint(sources: Mapping[str, Path]) -> str:
    """Hash the names and contents of the sources of a record.

    Records computed from different sources must not be compared: an outdated
    one could hide a fault or show one that is already fixed.
    """
    digest = hashlib.sha256()
    for name, path in sorted(sources.items()):
        digest.update(name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
