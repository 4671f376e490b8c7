"""Runs one contender in its own process, controlled over stdin and stdout.

Reads one JSON object a line and answers each with one: `{"prepare": workload}`,
`{"run": "forward" or "train"}`, `{"save": path}`, `{"release": null}`,
`{"peak": workload}`, `{"grow": workload}`. A workload is a name or a dictionary
of its fields.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import re
import statistics
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.workloads import WORKLOADS, Workload


class Worker:
    def __init__(self, contender, compiled):
        self.contender = importlib.import_module(
            f"benchmarks.contenders.{contender}"
        )
        self.runner = importlib.import_module(
            f"benchmarks.runners.{self.contender.FRAMEWORK}"
        )
        self.compiled = compiled
        self.passes = {}

    def prepare(self, workload):
        """Build and run a workload; return the seconds of its first calls."""
        seconds = {}
        start = time.perf_counter()
        if not self._build(workload):
            return {"skip": "not supported"}
        for name in ("forward", "train"):
            self.passes[name]()
            now = time.perf_counter()
            seconds[name] = now - start
            start = now
        for run in self.passes.values():
            run()
        return {"first": seconds}

    def _build(self, workload):
        self.release()
        if isinstance(workload, str):
            workload = WORKLOADS[workload]
        else:
            workload = Workload(**workload)
        make = getattr(self.contender, workload.kind, None)
        if make is not None:
            forward, train = self.runner.prepare(make, workload, self.compiled)
            self.passes = {"forward": forward, "train": train}
        return bool(self.passes)

    def release(self, _=None):
        """Drop the workload and return its memory to the system."""
        self.passes.clear()
        _trim()
        return {}

    def run(self, name):
        """CPU milliseconds of one call."""
        start = time.process_time()
        self.passes[name]()
        return {"ms": 1000 * (time.process_time() - start)}

    def save(self, path):
        """Write the output and the gradients to a file, for comparison."""
        _, gradients = self.passes["train"]()
        arrays = [self.passes["forward"](), *gradients]
        np.savez(path, *(np.array(x) for x in arrays))
        return {}

    def peak(self, workload):
        """MB that the first training step of a workload adds at most."""
        if not self._build(workload):
            return {"skip": "not supported"}
        return {"mb": _peak_mb(self.passes["train"])}

    def grow(self, workload):
        """CPU milliseconds and MB of a training step after the first one."""
        if not self._build(workload):
            return {"skip": "not supported"}
        self.passes["train"]()
        times = []
        while len(times) < 3 or (sum(times) < 200 and len(times) < 9):
            times.append(self.run("train")["ms"])
        return {
            "ms": statistics.median(times),
            "mb": _peak_mb(self.passes["train"]),
        }


def _peak_mb(run):
    """MB that a call adds to the memory of the process at most (Linux)."""
    _trim()
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
    run()
    return _memory("VmHWM") - before


def _trim():
    gc.collect()
    with contextlib.suppress(AttributeError, OSError):  # not glibc
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _memory(field):
    text = Path("/proc/self/status").read_text()
    return int(re.search(rf"{field}:\s+(\d+) kB", text)[1]) / 1000


def main():
    contender, compiled = sys.argv[1], sys.argv[2] == "compiled"
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # keep the frameworks' messages out of the answers
    worker = Worker(contender, compiled)
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        ((verb, argument),) = json.loads(line).items()
        try:
            answer = getattr(worker, verb)(argument)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
