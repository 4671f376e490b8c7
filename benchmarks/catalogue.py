"""Measure how long ranking a whole catalogue takes, and how much memory.

Prints the CPU milliseconds of `score_candidates`, on one core of a backend, and
by how much it raises the peak memory of the process. A batch of exactly as many
rows as there are candidates is never padded.

    for b in tensorflow torch jax; do
        KERAS_BACKEND=$b python benchmarks/catalogue.py; done
"""

import os
import resource
import statistics
import time

os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
os.environ["OMP_NUM_THREADS"] = "1"

import keras
import numpy as np

from kseq.feature_column import SparseFeat, VarLenSparseFeat
from kseq.models import DIN, score_candidates

CATALOGUE, STEPS, DIM = 20_000, 50, 32
DRAW = np.random.default_rng(0)


def main():
    item = SparseFeat("item", CATALOGUE, DIM)
    clicks = SparseFeat("hist_item", CATALOGUE, DIM, embedding_name="item")
    model = DIN([item, VarLenSparseFeat(clicks, STEPS)], ["item"])
    user = {"hist_item": DRAW.integers(1, CATALOGUE, STEPS)}

    def milliseconds(count, **batch_size):
        items = DRAW.integers(1, CATALOGUE, count)
        start = time.process_time()
        score_candidates(model, user, {"item": items}, **batch_size)
        return 1000 * (time.process_time() - start)

    def report(name, number):
        print(f"{keras.backend.backend()}: {name}: {number:.1f}", flush=True)

    milliseconds(1)
    before = megabytes()
    for size in (512, 1024, CATALOGUE):
        milliseconds(CATALOGUE, batch_size=size)
        report(f"{CATALOGUE} in batches of {size}, MB", megabytes() - before)
        times = [milliseconds(CATALOGUE, batch_size=size) for _ in range(5)]
        report(f"{CATALOGUE} in batches of {size}", statistics.median(times))
    report("101, the first call", milliseconds(101))
    report("102, the first call", milliseconds(102))
    report(
        "103 in a batch of 103, the first call",
        milliseconds(103, batch_size=103),
    )
    for size in (1024, 513):
        times = [milliseconds(513, batch_size=size) for _ in range(15)]
        report(f"513 in a batch of at most {size}", statistics.median(times))
    times = [milliseconds(1024, batch_size=1024) for _ in range(15)]
    report("1024 in a batch", statistics.median(times))


def megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
