"""Computes cases into a record, in this process or in one for each backend."""

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
    """Refuse backends of which no two can be compared here."""
    for backend in backends:
        check_one_of(name, backend, BACKENDS)
    if len(set(backends)) < max(2, len(backends)):
        raise_invalid(name, "two or more different backends", list(backends))
    for backend in backends:
        if not installed(backend):
            raise_invalid(name, "backends that are installed", backend)


def sources(folder: Path, files: Iterable[Path]) -> dict[str, Path]:
    """The files that decide what a record holds, by the names they have
    wherever they lie: those of kseq, and some within a folder."""
    package = Path(kseq.__file__).parent
    own = {
        f"kseq/{path.relative_to(package).as_posix()}": path
        for path in package.rglob("*.py")
    }
    return own | {path.relative_to(folder).as_posix(): path for path in files}


def loaded_from(folder: Path) -> list[Path]:
    """The Python files within a folder that this process has loaded.

    Not what is installed there, in an environment within the folder, nor kseq:
    each backend loads other parts of these.
    """
    installed = Path(sys.prefix).resolve()
    package = Path(kseq.__file__).resolve().parent
    names = {getattr(m, "__file__", None) for m in [*sys.modules.values()]}
    paths = {Path(name) for name in names if name}
    # Some modules of PyTorch are made of no file, and name one all the same.
    found = {
        path.resolve()
        for path in paths
        if path.suffix == ".py" and path.is_absolute()
    }
    return [
        path
        for path in found
        if path.is_relative_to(folder.resolve())
        and not path.is_relative_to(package)
        and not path.is_relative_to(installed)
        and "site-packages" not in path.parts
    ]


def record_case(
    record: Record, case: Case, dtype: str, kind: str
) -> dict[str, Any] | None:
    """Compute one kind of one case into a record, or note why not.

    Returns:
        What was computed, by name; None where it is left out.
    """
    why = left_out(record.run.backend, kind, dtype)
    if why is not None:
        record.leave_out(case.name, dtype, kind, why)
        return None
    values = measure(case, dtype, kind)
    record.add(case.name, dtype, kind, values)
    if not record.references_of(case.name, dtype, kind):
        record.add_references(
            case.name, dtype, kind, reference_values(case, dtype, kind)
        )
    return values


def record_module(module: Path, out: Path) -> None:
    """Compute a module's cases on this process's backend into `out`."""
    check_writable("out", out)
    cases = load_cases(module)
    folder = module.resolve().parent
    # What the module imports from beside it decides as well.
    made_from = sources(folder, {module.resolve(), *loaded_from(folder)})
    record = new_record(out.stem, probes.device(), fingerprint(made_from))
    for case in cases:
        for dtype in case.dtypes:
            for kind in case.kinds:
                try:
                    record_case(record, case, dtype, kind)
                except Exception as error:  # whatever a layer may raise
                    record.fail(case.name, dtype, kind, error)
    record.run.finished = True
    with writing("out", out):
        record.save(out)


def run_backends(
    module: Path, backends: Sequence[str], folder: Path
) -> list[str]:
    """Record a module's cases on each backend, in a process of its own.

    Returns:
        The backends whose process failed.
    """
    failed = []
    for backend in backends:
        out = folder / f"{backend}.npz"
        out.unlink(missing_ok=True)  # an old one must not pass for this run's
        print(f"{module} on {backend} ...", flush=True)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "kseq.agreement", "record"),
                *(str(module), "--out", str(out)),
            ],
            env={**os.environ, "KERAS_BACKEND": backend},
            check=False,
        )
        if done.returncode:
            failed.append(backend)
    return failed
