"""What ranking many candidates costs: memory, and one more of them.

Prints the CPU time of `score_candidates`, in milliseconds, on one core of a
backend, and how far it drives the process's peak of memory. Batches of as many
as there are candidates are never filled up.

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

    def say(what, number):
        print(f"{keras.backend.backend()}: {what}: {number:.1f}", flush=True)

    milliseconds(1)
    before = megabytes()
    for size in (512, 1024, CATALOGUE):
        milliseconds(CATALOGUE, batch_size=size)
        say(f"{CATALOGUE} in batches of {size}, MB", megabytes() - before)
        took = [milliseconds(CATALOGUE, batch_size=size) for _ in range(5)]
        say(f"{CATALOGUE} in batches of {size}", statistics.median(took))
    say("101, the first call", milliseconds(101))
    say("102, the first call", milliseconds(102))
    say(
        "103 in a batch of 103, the first call",
        milliseconds(103, batch_size=103),
    )
    for size in (1024, 513):
        took = [milliseconds(513, batch_size=size) for _ in range(15)]
        say(f"513 in a batch of at most {size}", statistics.median(took))
    took = [milliseconds(1024, batch_size=1024) for _ in range(15)]
    say("1024 in a batch", statistics.median(took))


def megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
