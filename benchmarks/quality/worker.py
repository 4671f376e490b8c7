"""Runs jobs on one data set in its own process, controlled over stdin.

`python -m benchmarks.quality.worker DATA FOLDER` reads a job as JSON from each
line, and answers with a line of JSON.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quality import configuration as c
from benchmarks.quality import data
from benchmarks.quality.metrics import auc, balanced_log_loss
from kseq.data import Samples
from kseq.metrics import group_auc

Scores = dict[str, np.ndarray]


def run(job: c.Job, parts: dict[str, Samples], sizes: dict[str, int]) -> Any:
    """Train until the validation gAUC falls; return the test's metrics."""
    if job.model == "popularity":
        return popularity(parts)
    module = importlib.import_module(
        f"benchmarks.quality.{job.library}_learner"
    )
    trim()
    before = memory("VmRSS")
    learner = module.Learner(job, sizes, parts)
    best: dict[str, Any] = {"valid_gauc": -1.0}
    seconds, history = [], []
    for epoch in range(1, c.MAX_EPOCHS + 1):
        order = np.random.default_rng([job.seed, epoch]).permutation(
            len(parts["train"])
        )
        Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
        start = time.process_time()
        learner.train_epoch(order)
        seconds.append(time.process_time() - start)
        if epoch == 1:
            peak = memory("VmHWM")
        valid = metrics(parts["valid"], learner.predict("valid"))
        history.append(valid["gauc"])
        if valid["gauc"] > best["valid_gauc"]:
            best = {"valid_gauc": valid["gauc"], "epoch": epoch}
            if job.seed != c.SEARCH_SEED:
                best |= metrics(parts["test"], learner.predict("test"))
        elif epoch - best["epoch"] >= c.PATIENCE:
            break
    return best | {
        "valid_history": history,
        "seconds": seconds,
        "memory_mb": peak - before,
        "weights": learner.weights,
    }


def popularity(parts: dict[str, Samples]) -> dict[str, float]:
    """Score an item by its number of events in training."""
    train = parts["train"]
    last = max(int(part.inputs["item"].max()) for part in parts.values())
    count = np.bincount(train.inputs["item"], train.label, last + 1)
    found = {
        name: metrics(part, count[part.inputs["item"]])
        for name, part in parts.items()
        if name != "train"
    }
    del found["test"]["log_loss"]  # counts are no probabilities
    return found["test"] | {"valid_gauc": found["valid"]["gauc"]}


def metrics(samples: Samples, scores: np.ndarray) -> dict[str, float]:
    return {
        "gauc": group_auc(samples.label, scores, samples.user),
        "auc": auc(samples.label, scores),
        "log_loss": balanced_log_loss(samples.label, scores),
    }


def memory(field: str) -> float:
    """Return a field of /proc/self/status in MB (Linux)."""
    text = Path("/proc/self/status").read_text()
    return int(re.search(rf"{field}:\s+(\d+) kB", text)[1]) / 1000


def trim() -> None:
    gc.collect()
    with contextlib.suppress(AttributeError, OSError):  # not glibc
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def main() -> None:
    name, folder = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # keep the frameworks' messages out of the answers
    events = data.read(name, Path(folder) if folder else None)
    sizes = data.sizes(events)
    parts: dict[int, dict[str, Samples]] = {}
    for line in sys.stdin:
        job = c.Job(**json.loads(line))
        if job.users not in parts:
            chosen = events.some_users(job.users)
            parts = {job.users: data.split(chosen, c.protocol(job.data))}
        try:
            answer = run(job, parts[job.users], sizes)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
