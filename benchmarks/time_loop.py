"""Compare implementations of the time loop on one backend.

Trains an AUGRU with kseq's loop, with `keras.ops.scan` and with an unrolled
loop, on one core. Prints the seconds of the first step, which builds and
compiles, and the CPU milliseconds of the following steps.

    for b in tensorflow torch jax; do
        KERAS_BACKEND=$b python benchmarks/time_loop.py; done
"""

import argparse
import importlib
import os
import statistics
import time

os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
os.environ["OMP_NUM_THREADS"] = "1"

import keras
import numpy as np
from keras import ops

from kseq.layers.sequence import DynamicGRU
from kseq.ops import recurrence
from kseq.ops.backends.plain import projecting

BACKEND = keras.backend.backend()
RNG = np.random.default_rng(0)
BATCH, DIM = 64, 32
KSEQ_LOOP = recurrence.loop


def loop_named(name):
    """Return an implementation of the loop."""
    if name == "own":
        return KSEQ_LOOP
    if name == "scan":
        return scan
    return importlib.import_module(f"kseq.ops.backends.{name}_loop").loop


def scan(
    step,
    sequences,
    states,
    weights,
    recompute=False,
    valid=None,
    projection=None,
):
    """The loop written with `keras.ops.scan`, for all backends."""
    step, weights = projecting(step), (*weights, *projection)

    def body(states, inputs):
        states = step(inputs, states, weights)
        return states, states[0]

    by_step = tuple(ops.swapaxes(x, 0, 1) for x in sequences)
    states, outputs = ops.scan(body, states, by_step)
    return ops.swapaxes(outputs, 0, 1), states


def augru(steps):
    symbols = [
        keras.Input((None, DIM)),
        keras.Input((1,), dtype="int32"),
        keras.Input((None, 1)),
    ]
    arrays = [*history(steps), RNG.random((BATCH, steps, 1), "float32")]
    return symbols, DynamicGRU(DIM, "AUGRU")(symbols), arrays


def history(steps):
    x = RNG.normal(size=(BATCH, steps, DIM)).astype("float32")
    return [x, np.full((BATCH, 1), steps, "int32")]


def trainer(make, steps, jit_compile):
    """Return a function that runs one training step."""
    symbols, output, arrays = make(steps)
    model = keras.Model(symbols, output)
    model.compile("sgd", "mse", jit_compile=jit_compile)
    target = np.zeros((BATCH, steps, output.shape[-1]), "float32")
    return lambda: model.train_on_batch(arrays, target)


def contenders(steps):
    """Yield labels, names of loops, and functions that build a trainer."""
    compiles = {"tensorflow": (False, True), "jax": (True,), "torch": (False,)}
    for jit in compiles[BACKEND]:
        label = {"tensorflow": " XLA" if jit else " graph"}.get(BACKEND, "")
        for name in ("own", "scan", "unrolled"):
            # TensorFlow cannot unroll an unknown number of steps.
            if BACKEND == "tensorflow" and name == "unrolled":
                continue
            yield (
                f"{name}{label}",
                name,
                lambda jit=jit: trainer(augru, steps, jit),
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    if BACKEND == "torch":
        import torch

        torch.set_num_threads(1)
    runs, first = {}, {}
    for name, loop, make in contenders(options.steps):
        recurrence.loop = loop_named(loop)
        start = time.perf_counter()
        try:
            train = make()
            train()
        except Exception as error:
            print(f"{name}: {type(error).__name__}", flush=True)
            continue
        first[name] = time.perf_counter() - start
        runs[name] = (loop, train)
    times = {name: [] for name in runs}
    for _ in range(options.rounds):  # interleaved
        for name, (loop, train) in runs.items():
            recurrence.loop = loop_named(loop)
            start = time.process_time()
            train()
            times[name].append(time.process_time() - start)
    print(f"{BACKEND}, {options.steps} steps, batch {BATCH}, width {DIM}")
    print("| loop | first step, s | a step, CPU ms (lowest to highest) |")
    print("|---|---|---|")
    for name, seconds in times.items():
        low, mid, high = (
            1000 * f(seconds) for f in (min, statistics.median, max)
        )
        print(
            f"| {name} | {first[name]:.1f} | {mid:.0f} ({low:.0f}-{high:.0f}) |"
        )


if __name__ == "__main__":
    main()
