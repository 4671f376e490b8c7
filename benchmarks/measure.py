"""Measures contenders that take turns on one core, each in its own process."""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contenders import CONTENDERS, FRAMEWORKS, Contender

ROOT = Path(__file__).parents[1]
PASSES = ("forward", "train")

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false "
    "intra_op_parallelism_threads=1",
    "CUDA_VISIBLE_DEVICES": "-1",
    "JAX_PLATFORMS": "cpu",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    # TensorFlow's own memory pool returns nothing to the system and would hide
    # what a call needs.
    "TF_ONEDNN_USE_SYSTEM_ALLOCATOR": "true",
    # First calls include compilation.
    "JAX_ENABLE_COMPILATION_CACHE": "false",
}
# The process keeps its memory. With malloc's defaults up to half of the time
# of large arrays is page faults.
KEEP_MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": str(2**34),
    "MALLOC_TOP_PAD_": str(2**29),
}


class Remote:
    """A contender's worker process, started on the first request.

    A worker that died is started again. Errors are returned as
    `{"error": ...}`.
    """

    def __init__(self, contender: Contender, **environment: str) -> None:
        self.contender = contender
        self.environment = environment
        self.process: subprocess.Popen[str] | None = None

    def ask(self, verb: str, argument: Any = None) -> dict[str, Any]:
        if self.process is None or self.process.poll() is not None:
            started = self._start()
            if "error" in started:  # such as a package that is not installed
                return started
        print(json.dumps({verb: argument}), file=self.process.stdin, flush=True)
        return self._answer()

    def _start(self) -> dict[str, Any]:
        self.close()
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        mode = "compiled" if self.contender.compiled else "plain"
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "benchmarks.worker"),
                *(self.contender.module, mode),
            ],
            cwd=ROOT,
            env={
                **os.environ,
                **ENVIRONMENT,
                "KERAS_BACKEND": self.contender.framework,
                **self.environment,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        code = self.process.wait()
        self.log.seek(0)
        last = self.log.read().splitlines()[-1:]
        return {"error": f"exited with {code}: {' '.join(last)}"[:500]}

    def close(self) -> None:
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait()
            self.process.stdout.close()
            self.log.close()
            self.process = None


@contextlib.contextmanager
def workers(
    contenders: Iterable[Contender], **environment: str
) -> Iterator[list[Remote]]:
    remotes = [Remote(contender, **environment) for contender in contenders]
    try:
        yield remotes
    finally:
        for remote in remotes:
            remote.close()


def times(
    workloads: list[str],
    contenders: list[Contender],
    rounds: int,
    seconds: float,
) -> Iterator[dict[str, Any]]:
    """Yield one row for each workload and each contender that supports it.

    The contenders of a framework take turns for `rounds` rounds. After
    `seconds` they stop early, but not before the fifth round.
    """
    with workers(contenders, **KEEP_MEMORY) as remotes:
        for remote in remotes:
            # One-time initialisation must not count for the first workload.
            remote.ask("prepare", workloads[0])
            remote.ask("release")
        for workload in workloads:
            for framework in FRAMEWORKS:
                # All frameworks together would need too much memory.
                group = [
                    r for r in remotes if r.contender.framework == framework
                ]
                yield from _rows(workload, group, rounds, seconds)


def _rows(
    workload: str, remotes: list[Remote], rounds: int, seconds: float
) -> Iterator[dict[str, Any]]:
    rows = {}
    for remote in remotes:
        answer = remote.ask("prepare", workload)
        if "skip" not in answer:
            name = remote.contender.name
            rows[remote] = {"workload": workload, "contender": name, **answer}
    running = [r for r, row in rows.items() if "error" not in row]
    with tempfile.TemporaryDirectory() as folder:
        _compare(running, rows, Path(folder))
    results = _take_turns(running, rounds, seconds)
    for remote, row in rows.items():
        yield row | results.get(remote, {})
        remote.ask("release")


def _compare(
    running: list[Remote], rows: dict[Remote, dict[str, Any]], folder: Path
) -> None:
    """Add each row's difference from the first kseq contender."""
    paths = {}
    for remote in running:
        path = folder / f"{remote.contender.name}.npz"
        answer = remote.ask("save", str(path))
        if "error" in answer:
            rows[remote] |= answer
        else:
            paths[remote] = path
    reference = next((r for r in paths if r.contender.is_kseq), None)
    for remote, path in paths.items():
        if reference is not None and remote is not reference:
            rows[remote]["difference"] = difference(path, paths[reference])


def difference(path: Path, reference: Path) -> float | None:
    """The largest difference, relative to the largest value of its array.

    None where the arrays' shapes differ.
    """
    with np.load(path) as actual, np.load(reference) as expected:
        pairs = [(actual.get(name), expected[name]) for name in expected]
        if len(actual) != len(expected) or any(
            a is None or a.shape != b.shape for a, b in pairs
        ):
            return None
        differences = [
            np.abs(a - b).max() / max(np.abs(b).max(), 1e-30) for a, b in pairs
        ]
        # np.max propagates NaN; Python's max does not.
        return float(np.nan_to_num(np.max(differences), nan=np.inf))


def _take_turns(
    running: list[Remote], rounds: int, seconds: float
) -> dict[Remote, dict[str, Any]]:
    found = {remote: {p: [] for p in PASSES} for remote in running}
    failed = {}
    start = time.monotonic()
    for done in range(rounds):
        if done >= 5 and time.monotonic() - start > seconds:
            break
        # Alternate the order, so that neighbours change.
        for remote in running if done % 2 else running[::-1]:
            for pass_ in PASSES:
                answer = remote.ask("run", pass_)
                if "ms" in answer:
                    found[remote][pass_].append(answer["ms"])
                else:
                    failed[remote] = answer
    return {
        remote: {p: quartiles(ms) for p, ms in by_pass.items() if ms}
        | failed.get(remote, {})
        for remote, by_pass in found.items()
    }


def quartiles(ms: list[float]) -> dict[str, float]:
    """The median and the quartiles around it."""
    low, middle, high = (
        statistics.quantiles(ms, n=4, method="inclusive")
        if len(ms) > 1
        else 3 * ms
    )
    rounded = {"low": low, "median": middle, "high": high}
    return {k: round(v, 3) for k, v in rounded.items()} | {"rounds": len(ms)}


def peaks(
    rows: Iterable[dict[str, Any]], workloads: Iterable[str]
) -> Iterator[dict[str, Any]]:
    """MB of the first training step, measured in fresh processes.

    Args:
        rows: rows of `times`; those without a training time are skipped.
        workloads: the workloads to measure.
    """
    for row in rows:
        if row["workload"] in workloads and "train" in row:
            with workers([CONTENDERS[row["contender"]]]) as (remote,):
                answer = remote.ask("peak", row["workload"])
            names = {key: row[key] for key in ("workload", "contender")}
            yield names | answer
