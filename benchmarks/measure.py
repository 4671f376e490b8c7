"""Contenders as processes that take turns on one core, and what they need."""

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

from benchmarks.lineup import FRAMEWORKS, LINEUP, Contender

ROOT = Path(__file__).parents[1]
PASSES = ("forward", "train")

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false "
    "intra_op_parallelism_threads=1",
    "CUDA_VISIBLE_DEVICES": "-1",
    "JAX_PLATFORMS": "cpu",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    # TensorFlow, too, takes its memory from malloc: its own pool would never
    # give it back, and hide what a call needs.
    "TF_ONEDNN_USE_SYSTEM_ALLOCATOR": "true",
    # First calls compile: no results of earlier runs.
    "JAX_ENABLE_COMPILATION_CACHE": "false",
}
# Memory stays with the process. Otherwise half the time of large arrays is the
# kernel's, for pages that come and go, and it is not the contender's doing.
KEEP_MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": str(2**34),
    "MALLOC_TOP_PAD_": str(2**29),
}


class Remote:
    """A contender's worker: it starts when it is asked, and again if it died.

    Its errors are answers, too: `{"error": ...}`.
    """

    def __init__(self, contender: Contender, **environment: str) -> None:
        self.contender = contender
        self.environment = environment
        self.process: subprocess.Popen[str] | None = None

    def ask(self, verb: str, argument: Any = None) -> dict[str, Any]:
        if self.process is None or self.process.poll() is not None:
            self._start()
        print(json.dumps({verb: argument}), file=self.process.stdin, flush=True)
        return self._answer()

    def _start(self) -> None:
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        kind = "compiled" if self.contender.compiled else "plain"
        self.process = subprocess.Popen(
            [
                sys.executable,
                *("-m", "benchmarks.worker", self.contender.module, kind),
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
        self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        code = self.process.wait()
        self.log.seek(0)
        last = [*self.log.read().splitlines(), ""][-2:-1]
        return {"error": f"ended with {code}: {' '.join(last)}"[:500]}

    def close(self) -> None:
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait()
            self.process = None

    def __enter__(self) -> "Remote":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def stay_on(core: int) -> None:
    """This process, and those that it starts, from here on."""
    os.sched_setaffinity(0, [core])


def times(
    works: list[str], contenders: list[Contender], rounds: int, seconds: float
) -> Iterator[dict[str, Any]]:
    """One row for each work and each contender that does it.

    Those of a framework take turns, round after round, until they have had
    their `rounds`; or their `seconds`, but five rounds at least.
    """
    remotes = [Remote(c, **KEEP_MEMORY) for c in contenders]
    try:
        for remote in remotes:
            # What is slow once in a process is not the first work's doing.
            remote.ask("prepare", works[0])
            remote.ask("rest")
        for work in works:
            for framework in FRAMEWORKS:
                # All at once would need too much memory.
                own = [r for r in remotes if r.contender.framework == framework]
                yield from _rows(work, own, rounds, seconds)
    finally:
        for remote in remotes:
            remote.close()


def _rows(
    work: str, remotes: list[Remote], rounds: int, seconds: float
) -> Iterator[dict[str, Any]]:
    rows = {r: row for r in remotes if (row := _prepare(r, work))}
    running = [r for r, row in rows.items() if "error" not in row]
    with tempfile.TemporaryDirectory() as folder:
        _compare(running, rows, Path(folder))
    found = _take_turns(running, rounds, seconds)
    for remote, row in rows.items():
        yield row | found.get(remote, {})
        remote.ask("rest")


def _prepare(remote: Remote, work: str) -> dict[str, Any] | None:
    answer = remote.ask("prepare", work)
    if "skip" in answer:
        return None
    return {"work": work, "contender": remote.contender.name, **answer}


def _compare(
    running: list[Remote], rows: dict[Remote, dict[str, Any]], folder: Path
) -> None:
    """How far the numbers of others are from those of the first kseq."""
    paths = {}
    for remote in running:
        path = folder / f"{remote.contender.name}.npz"
        answer = remote.ask("save", str(path))
        if "error" in answer:
            rows[remote] |= answer
        else:
            paths[remote] = path
    reference = next((r for r in paths if r.contender.is_ours), None)
    for remote, path in paths.items():
        if reference is not None and remote is not reference:
            far = difference(path, paths[reference])
            rows[remote]["difference"] = far


def difference(path: Path, reference: Path) -> float | None:
    """At most, of the largest value of its array; None: not comparable."""
    with np.load(path) as ours, np.load(reference) as theirs:
        pairs = [(ours.get(name), theirs[name]) for name in theirs]
        if len(ours) != len(theirs) or any(
            a is None or a.shape != b.shape for a, b in pairs
        ):
            return None
        far = [
            np.abs(a - b).max() / max(np.abs(b).max(), 1e-30) for a, b in pairs
        ]
        # Python's max passes over NaN.
        return float(np.nan_to_num(np.max(far), nan=np.inf))


def _take_turns(
    running: list[Remote], rounds: int, seconds: float
) -> dict[Remote, dict[str, Any]]:
    found = {remote: {p: [] for p in PASSES} for remote in running}
    failed = {}
    start = time.monotonic()
    for done in range(rounds):
        if done >= 5 and time.monotonic() - start > seconds:
            break
        # There and back, so that none always follows the same neighbour.
        for remote in running if done % 2 else running[::-1]:
            for pass_ in PASSES:
                answer = remote.ask("run", pass_)
                if "ms" in answer:
                    found[remote][pass_].append(answer["ms"])
                else:
                    failed[remote] = answer
    return {
        remote: {p: quartiles(ms) for p, ms in each.items() if ms}
        | failed.get(remote, {})
        for remote, each in found.items()
    }


def quartiles(ms: list[float]) -> dict[str, float]:
    """The median, and the quartiles around it."""
    low, middle, high = (
        statistics.quantiles(ms, n=4, method="inclusive")
        if len(ms) > 1
        else 3 * ms
    )
    rounded = {"low": low, "median": middle, "high": high}
    return {k: round(v, 3) for k, v in rounded.items()} | {"rounds": len(ms)}


def peaks(
    rows: Iterable[dict[str, Any]], works: Iterable[str]
) -> Iterator[dict[str, Any]]:
    """MB of the first step of training, each in a process of its own.

    Of those works, and the contenders whose rows of `times` show that they can.
    """
    for row in rows:
        if row["work"] in works and "train" in row:
            with Remote(LINEUP[row["contender"]]) as remote:
                answer = remote.ask("peak", row["work"])
            yield {
                "work": row["work"],
                "contender": row["contender"],
                **answer,
            }
