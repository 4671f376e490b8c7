"""Measure what a step of training costs as the embedding table grows.

Trains DIN (batch 512, 20 steps, one table of width 16 for item and history)
with `fit` on one core. Prints the median CPU milliseconds of a step and the
peak memory of the process, which has nothing else to do:

    for b in tensorflow torch jax; do for r in 10000 1000000 5000000; do
        KERAS_BACKEND=$b python benchmarks/tables.py $r SparseAdam; done; done

`--penalty all` is the penalty on all rows, as DeepCTR's.
"""

import argparse
import os
import resource
import statistics
import time

os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
os.environ["OMP_NUM_THREADS"] = "1"

import keras
import numpy as np

import kseq.optimizers
from kseq.feature_column import SparseFeat, VarLenSparseFeat
from kseq.layers import Embedding
from kseq.models import DIN

BATCH, STEPS, DIM = 512, 20, 16
PENALTIES = {"all": keras.layers.Embedding, "rows": Embedding}


class Clock(keras.callbacks.Callback):
    """The CPU time of each step, until its loss is known."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_train_batch_begin(self, batch, logs=None):
        self.start = time.process_time()

    def on_train_batch_end(self, batch, logs=None):
        float(logs["loss"])  # JAX computes in the background
        self.seconds.append(time.process_time() - self.start)


def make_optimizer(name):
    module = kseq.optimizers if name.startswith("Sparse") else keras.optimizers
    return getattr(module, name)()


def measure(rows, optimizer, penalty, batches):
    """Return the seconds of each step."""
    item = SparseFeat("item", rows, DIM)
    clicks = SparseFeat("hist_item", rows, DIM, embedding_name="item")
    model = DIN(
        [item, VarLenSparseFeat(clicks, STEPS)],
        ["item"],
        embedding_layer=PENALTIES[penalty],
    )
    model.compile(make_optimizer(optimizer), "binary_crossentropy")
    draw = np.random.default_rng(0)
    size = batches * BATCH
    lengths = draw.integers(STEPS + 1, size=(size, 1))
    features = {
        "item": draw.integers(1, rows, size),
        "hist_item": draw.integers(1, rows, (size, STEPS))
        * (np.arange(STEPS) < lengths),
    }
    clock = Clock()
    clicked = draw.integers(2, size=size)
    options = {"batch_size": BATCH, "verbose": 0, "callbacks": [clock]}
    model.fit(features, clicked, **options)
    return clock.seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=int)
    parser.add_argument("optimizer")
    parser.add_argument("--penalty", choices=PENALTIES, default="rows")
    parser.add_argument("--batches", type=int, default=12)
    options = parser.parse_args()
    if keras.backend.backend() == "torch":
        import torch

        torch.set_num_threads(1)
    first, _, *seconds = measure(**vars(options))
    low, mid, high = (1000 * f(seconds) for f in (min, statistics.median, max))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"| {keras.backend.backend()} | {options.optimizer} "
        f"| {options.penalty} | {options.rows:,} "
        f"| {mid:.0f} ({low:.0f}-{high:.0f}) | {first:.1f} | {peak} |"
    )


if __name__ == "__main__":
    main()
