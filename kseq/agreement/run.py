"""Computes cases into a record, in this process or in one for each backend."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import kseq
from kseq.agreement import probes
from kseq.agreement.cases import Case, load_cases
from kseq.agreement.measure import measure, reference_values
from kseq.agreement.record import Record, fingerprint, new_record
from kseq.agreement.tables import left_out

BACKENDS = ("tensorflow", "torch", "jax", "numpy", "openvino")


def sources(*more: Path) -> list[Path]:
    """The files that decide what a record holds."""
    return [*Path(kseq.__file__).parent.rglob("*.py"), *more]


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
    cases = load_cases(module)
    record = new_record(out.stem, probes.device(), fingerprint(sources(module)))
    for case in cases:
        for dtype in case.dtypes:
            for kind in case.kinds:
                try:
                    record_case(record, case, dtype, kind)
                except Exception as error:  # whatever a layer may raise
                    record.fail(case.name, dtype, kind, error)
    record.run.finished = True
    record.save(out)


def run_backends(
    module: Path, backends: Sequence[str], folder: Path
) -> list[str]:
    """Record a module's cases on each backend, in a process of its own.

    Returns:
        The backends whose process failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.npz"):
        old.unlink()
    failed = []
    for backend in backends:
        out = folder / f"{backend}.npz"
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
