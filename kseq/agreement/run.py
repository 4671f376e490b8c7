"""Compute cases and save a record, here or in one process per backend."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import kseq
from kseq.agreement import probes
from kseq.agreement.cases import Case, load_cases
from kseq.agreement.measure import measure, reference_values
from kseq.agreement.record import Record, fingerprint, new_record
from kseq.agreement.tables import left_out
from kseq.checks import check_one_of, raise_invalid
from kseq.files import check_writable, writing

BACKENDS = ("tensorflow", "torch", "jax", "numpy", "openvino")


def installed(backend: str) -> bool:
    return importlib.util.find_spec(backend) is not None


def check_backends(name: str, backends: Sequence[str]) -> None:
    """Require two or more different backends that are installed."""
    for backend in backends:
        check_one_of(name, backend, BACKENDS)
    if len(set(backends)) < max(2, len(backends)):
        raise_invalid(name, "two or more different backends", list(backends))
    for backend in backends:
        if not installed(backend):
            raise_invalid(name, "backends that are installed", backend)


def sources(folder: Path, files: Iterable[Path]) -> dict[str, Path]:
    """Return the sources of a record: all of kseq, and files in a folder.

    The keys are paths relative to kseq and to the folder, so that they are
    the same on every machine.
    """
    package = Path(kseq.__file__).parent
    own = {
        f"kseq/{path.relative_to(package).as_posix()}": path
        for path in package.rglob("*.py")
    }
    return own | {path.relative_to(folder).as_posix(): path for path in files}


def loaded_from(folder: Path) -> list[Path]:
    """Return the Python files in a folder that this process has loaded.

    Installed packages, in an environment within the folder, and kseq are
    excluded: which of their modules are loaded depends on the backend.
    """
    installed = Path(sys.prefix).resolve()
    package = Path(kseq.__file__).resolve().parent
    names = {getattr(m, "__file__", None) for m in [*sys.modules.values()]}
    paths = {Path(name) for name in names if name}
    # Some modules of PyTorch name a relative file that does not exist.
    files = {
        path.resolve()
        for path in paths
        if path.suffix == ".py" and path.is_absolute()
    }
    return [
        path
        for path in files
        if path.is_relative_to(folder.resolve())
        and not path.is_relative_to(package)
        and not path.is_relative_to(installed)
        and "site-packages" not in path.parts
    ]


def record_case(
    record: Record, case: Case, dtype: str, kind: str
) -> dict[str, Any] | None:
    """Compute one kind of a case and add it, or the reason to skip it.

    Returns:
        A dict of backend tensors by name, or None if the kind is skipped.
    """
    reason = left_out(record.run.backend, kind, dtype)
    if reason is not None:
        record.leave_out(case.name, dtype, kind, reason)
        return None
    values = measure(case, dtype, kind)
    record.add(case.name, dtype, kind, values)
    if not record.references_of(case.name, dtype, kind):
        record.add_references(
            case.name, dtype, kind, reference_values(case, dtype, kind)
        )
    return values


def record_module(module: Path, out: Path) -> None:
    """Compute the cases of a module on this backend and write the record."""
    check_writable("out", out)
    cases = load_cases(module)
    folder = module.resolve().parent
    # Including what the module imports from its own folder.
    files = sources(folder, {module.resolve(), *loaded_from(folder)})
    record = new_record(out.stem, probes.device(), fingerprint(files))
    for case in cases:
        for dtype in case.dtypes:
            for kind in case.kinds:
                try:
                    record_case(record, case, dtype, kind)
                except Exception as error:  # a layer can raise anything
                    record.fail(case.name, dtype, kind, error)
    record.run.finished = True
    with writing("out", out):
        record.save(out)


def run_backends(
    module: Path, backends: Sequence[str], folder: Path
) -> list[str]:
    """Record the cases of a module on each backend, in separate processes.

    Returns:
        A list of the backends whose process failed.
    """
    failed = []
    for backend in backends:
        out = folder / f"{backend}.npz"
        out.unlink(missing_ok=True)  # if this run fails, there is no record
        print(f"{module} on {backend} ...", flush=True)
        process = subprocess.run(
            [
                *(sys.executable, "-m", "kseq.agreement", "record"),
                *(str(module), "--out", str(out)),
            ],
            env={**os.environ, "KERAS_BACKEND": backend},
            check=False,
        )
        if process.returncode:
            failed.append(backend)
    return failed
