"""One contender in a process of its own, which does what it is told by line.

Reads JSON from stdin and answers each line with one: `{"prepare": work}`,
`{"run": "forward" or "train"}`, `{"save": path}`, `{"peak": work}`.
"""

import contextlib
import gc
import importlib
import json
import os
import re
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.works import WORKS


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

    def prepare(self, name):
        """Builds and runs a work once: seconds of the first of each."""
        self.does.clear()
        gc.collect()
        work = WORKS[name]
        make = getattr(self.contender, work.kind, None)
        if make is None:
            return {"skip": "not offered"}
        seconds = {}
        start = time.perf_counter()
        forward, train = self.runner.prepare(make, work, self.compiled)
        self.does = {"forward": forward, "train": train}
        for pass_ in ("forward", "train"):
            self.does[pass_]()
            now = time.perf_counter()
            seconds[pass_] = now - start
            start = now
        for run in self.does.values():
            run()
        return {"first": seconds}

    def run(self, pass_):
        """CPU milliseconds of one call."""
        start = time.process_time()
        self.does[pass_]()
        return {"ms": 1000 * (time.process_time() - start)}

    def save(self, path):
        """The output and the gradients, for a comparison."""
        arrays = [self.does["forward"](), *self.does["train"]()]
        np.savez(path, *(np.array(x) for x in arrays))
        return {}

    def peak(self, name):
        """MB that a work's first call of train adds at most (Linux)."""
        work = WORKS[name]
        make = getattr(self.contender, work.kind, None)
        if make is None:
            return {"skip": "not offered"}
        _, train = self.runner.prepare(make, work, self.compiled)
        gc.collect()
        before = _memory("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
        train()
        return {"mb": _memory("VmHWM") - before}


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
