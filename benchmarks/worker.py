"""One contender in a process of its own, which does what it is told by line.

Reads JSON from stdin and answers each line with one: `{"prepare": work}`,
`{"run": "forward" or "train"}`, `{"save": path}`, `{"rest": null}`,
`{"peak": work}`, `{"grow": work}`. A work is a name, or all its fields.
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

from benchmarks.works import WORKS, Work


class Worker:
    def __init__(self, contender, compiled):
        self.contender = importlib.import_module(
            f"benchmarks.contenders.{contender}"
        )
        self.runner = importlib.import_module(
            f"benchmarks.runners.{self.contender.FRAMEWORK}"
        )
        self.compiled = compiled
        self.does = {}

    def prepare(self, work):
        """Builds and runs a work once: seconds of the first of each."""
        seconds = {}
        start = time.perf_counter()
        if not self._build(work):
            return {"skip": "not offered"}
        for pass_ in ("forward", "train"):
            self.does[pass_]()
            now = time.perf_counter()
            seconds[pass_] = now - start
            start = now
        for run in self.does.values():
            run()
        return {"first": seconds}

    def _build(self, work):
        self.rest()
        work = WORKS[work] if isinstance(work, str) else Work(**work)
        make = getattr(self.contender, work.kind, None)
        if make is not None:
            forward, train = self.runner.prepare(make, work, self.compiled)
            self.does = {"forward": forward, "train": train}
        return bool(self.does)

    def rest(self, _=None):
        """Forgets its work, and gives the memory back."""
        self.does.clear()
        _trim()
        return {}

    def run(self, pass_):
        """CPU milliseconds of one call."""
        start = time.process_time()
        self.does[pass_]()
        return {"ms": 1000 * (time.process_time() - start)}

    def save(self, path):
        """The output and the gradients, for a comparison."""
        _, gradients = self.does["train"]()
        arrays = [self.does["forward"](), *gradients]
        np.savez(path, *(np.array(x) for x in arrays))
        return {}

    def peak(self, work):
        """MB that a work's first call of train adds at most."""
        if not self._build(work):
            return {"skip": "not offered"}
        return {"mb": _most_added(self.does["train"])}

    def grow(self, work):
        """Of train alone: the median call, and what a further one adds."""
        if not self._build(work):
            return {"skip": "not offered"}
        self.does["train"]()
        times = []
        while len(times) < 3 or (sum(times) < 200 and len(times) < 9):
            times.append(self.run("train")["ms"])
        mb = _most_added(self.does["train"])
        return {"ms": statistics.median(times), "mb": mb}


def _most_added(run):
    """MB of the process that were not there before, at the highest (Linux)."""
    _trim()
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    run()
    return _memory("VmHWM") - before


def _trim():
    gc.collect()
    with contextlib.suppress(AttributeError, OSError):  # another libc
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _memory(what):
    text = Path("/proc/self/status").read_text()
    return int(re.search(rf"{what}:\s+(\d+) kB", text)[1]) / 1000


def main():
    contender, compiled = sys.argv[1], sys.argv[2] == "compiled"
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what frameworks print goes elsewhere
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
