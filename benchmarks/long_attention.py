"""Measure the memory of a training step of Transformer over a long sequence.

    for b in tensorflow torch jax; do
        KERAS_BACKEND=$b python benchmarks/long_attention.py; done

`--max-scores 16e6` processes all queries at once; `--keep` stores the scores
of each group of queries for the gradient instead of computing them again.
"""

import argparse
import functools
import threading
import time
from pathlib import Path

import keras
import numpy as np

from kseq.layers.sequence import Transformer, transformer
from kseq.ops import multi_head


def resident():
    """MB of memory that this process occupies (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


class Peak(threading.Thread):
    """Records the peak memory of the process until it is stopped."""

    def __init__(self):
        super().__init__(daemon=True)
        self.highest = self.start_at = resident()
        self.watching = True

    def run(self):
        while self.watching:
            self.highest = max(self.highest, resident())
            time.sleep(0.002)

    def stop(self):
        self.watching = False
        self.join()
        return self.highest - self.start_at


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--unknown", action="store_true", help="Input((None,))")
    parser.add_argument("--xla", action="store_true", help="jit_compile=True")
    parser.add_argument("--eager", action="store_true", help="run_eagerly=True")
    parser.add_argument(
        "--max-scores", type=float, default=multi_head.MAX_SCORES
    )
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    transformer.multi_head_attention = functools.partial(
        multi_head.multi_head_attention, max_scores=int(options.max_scores)
    )
    if options.keep:
        loop = multi_head.loop
        multi_head.loop = lambda *a, recompute, **k: loop(*a, **k)
    steps = options.steps
    x = keras.Input((None if options.unknown else steps, 32))
    lengths = keras.Input((1,), dtype="int32")
    layer = Transformer(16, 2, max_steps=steps)
    model = keras.Model([x, lengths], layer(x, query_lengths=lengths))
    model.compile(
        "sgd",
        "mse",
        jit_compile=options.xla or "auto",
        run_eagerly=options.eager,
    )
    draw = np.random.default_rng(0).normal(size=(1, steps, 32))
    batch = [draw.astype("float32"), np.array([[steps]])]
    target = np.zeros((1, 1, 32), "float32")
    peak = Peak()
    peak.start()
    start = time.perf_counter()
    model.train_on_batch(batch, target)
    first = time.perf_counter() - start
    start = time.process_time()
    for _ in range(3):
        model.train_on_batch(batch, target)
    step = (time.process_time() - start) / 3
    print(
        f"{keras.backend.backend()}, {options}: {peak.stop():.0f} MB; "
        f"{first:.1f} s with compilation, then {step:.2f} CPU s a step"
    )


if __name__ == "__main__":
    main()
