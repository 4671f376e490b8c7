"""Runs jobs of worker.py at the same time, each on its own backend."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from movielens.workspace import Workspace

# Defaults of the workers' environment.
ON_A_SHARED_CPU = {
    # One thread for each: the workers share the cores. Waiting threads of torch
    # spin, and stall if other processes need the cores.
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    # By default glibc returns the memory of large tensors to the system after
    # each batch, and torch and JAX wait for page faults.
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(16 << 30),
    "MALLOC_TOP_PAD_": str(512 << 20),
}


class WorkerFailed(RuntimeError):
    pass


def run_jobs(
    jobs: dict[str, list[str]], workspace: Workspace, wake: float
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Run a job on each backend; yield backend, kind and content of events.

    An empty event comes after `wake` seconds without another. Raises
    WorkerFailed with the last output of a worker that fails.
    """
    events: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
    workers = {}
    try:
        for backend, arguments in jobs.items():
            workers[backend] = _start(backend, arguments, workspace)
            threading.Thread(
                target=_read,
                args=(backend, workers[backend], workspace, events),
                daemon=True,
            ).start()
        running = {*workers}
        while running:
            try:
                backend, event = events.get(timeout=wake)
            except queue.Empty:
                backend, event = "", {"event": ""}
            kind = event.pop("event")
            yield backend, kind, event
            if kind == "end":
                running.remove(backend)
                if status := workers[backend].wait():
                    log = workspace.log(backend).read_text().splitlines()[-40:]
                    raise WorkerFailed(
                        f"{jobs[backend][0]} on {backend} exited with "
                        f"{status}:\n" + "\n".join(log)
                    )
    finally:
        for process in workers.values():
            process.kill()
            process.wait()


def _start(
    backend: str, arguments: list[str], workspace: Workspace
) -> "subprocess.Popen[str]":
    with workspace.log(backend).open("a") as log:
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "movielens.worker"),
                *(arguments[0], str(workspace.folder), *arguments[1:]),
            ],
            cwd=Path(__file__).parents[1],
            env={
                **ON_A_SHARED_CPU,
                "TF_CPP_MIN_LOG_LEVEL": "2",
                **os.environ,
                "KERAS_BACKEND": backend,
                # Ignore ~/.keras/keras.json, which could change the dtype.
                "KERAS_HOME": str(workspace.folder),
                "PYTHONUNBUFFERED": "1",
            },
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )


def _read(
    backend: str,
    process: "subprocess.Popen[str]",
    workspace: Workspace,
    events: "queue.Queue[tuple[str, dict[str, Any]]]",
) -> None:
    with workspace.log(backend).open("a") as log, process.stdout as lines:
        for line in lines:
            if line.startswith('{"event"'):
                events.put((backend, json.loads(line)))
            else:  # printed by a library
                log.write(line)
    events.put((backend, {"event": "end"}))
