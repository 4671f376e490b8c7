"""Measure eager calls of kseq's layers beside plain Keras layers.

    for b in tensorflow torch jax; do
        KERAS_BACKEND=$b python benchmarks/eager_calls.py; done

Prints, for one backend on one core and one thread,

- the CPU time of a call of the recurrent layers, in milliseconds;
- the CPU time of a DIN call and of `PlainDIN`, a Keras layer of the same
  mathematics with the same weights, and their ratio. Both layers take turns in
  one process; medians over the rounds, the ratio is the median of the rounds'
  ratios. On PyTorch and TensorFlow also with the gradients of the weights;
- how many Python functions of kseq one DIN call runs.
"""

import inspect
import os
import statistics
import sys
import time
from pathlib import Path

os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
os.environ["OMP_NUM_THREADS"] = "1"

import keras
import numpy as np
from keras import ops

import kseq
from kseq.layers.sequence import (
    AttentionSequencePoolingLayer,
    BiLSTM,
    DynamicGRU,
)

BACKEND = keras.backend.backend()
ROUNDS = 60
UNITS = (80, 40)
DIM = 8
SIZES = ((32, 20), (128, 50), (512, 50))  # batch, steps


class PlainDIN(keras.layers.Layer):
    """DIN's attention for one candidate, without argument checks."""

    def __init__(self, units):
        super().__init__()
        self.hidden = [keras.layers.Dense(n, "sigmoid") for n in units]
        self.score = keras.layers.Dense(1)

    def call(self, query, keys, lengths):
        query = ops.broadcast_to(query, keys.shape)
        x = ops.concatenate([query, keys, query - keys, query * keys], axis=-1)
        for dense in self.hidden:
            x = dense(x)
        valid = ops.arange(keys.shape[1]) < lengths
        scores = self.score(x)[:, :, 0] * ops.cast(valid, keys.dtype)
        return ops.matmul(scores[:, None], keys)

    def set_kseq_weights(self, weights):
        """Copy the weights of an AttentionSequencePoolingLayer."""
        kernel, bias, *hidden = weights
        count = len(self.hidden)
        self.score.set_weights([kernel, bias])
        for dense, pair in zip(
            self.hidden,
            zip(hidden[:count], hidden[count:], strict=True),
            strict=True,
        ):
            dense.set_weights(pair)


def call_din(layer, query, keys, lengths):
    """Call a layer with named tensors, or with DeepCTR's list of inputs."""
    if "keys" in inspect.signature(layer.call).parameters:
        return layer(query, keys, lengths=lengths)
    return layer([query, keys, lengths])


def din_pair(batch, steps):
    """Return calls of kseq's layer and of PlainDIN, and their weights."""
    rng = np.random.default_rng(0)
    inputs = (
        ops.convert_to_tensor(rng.normal(size=(batch, 1, DIM)), "float32"),
        ops.convert_to_tensor(rng.normal(size=(batch, steps, DIM)), "float32"),
        ops.convert_to_tensor(rng.integers(1, steps + 1, (batch, 1)), "int32"),
    )
    layer = AttentionSequencePoolingLayer(UNITS, "sigmoid")
    plain = PlainDIN(UNITS)
    call_din(layer, *inputs)
    plain(*inputs)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.weights])
    plain.set_kseq_weights(layer.get_weights())
    calls = (
        lambda: call_din(layer, *inputs),
        lambda: plain(*inputs),
    )
    np.testing.assert_allclose(
        *(ops.convert_to_numpy(call()) for call in calls), rtol=1e-4, atol=1e-4
    )
    return calls, (layer.trainable_weights, plain.trainable_weights)


def forward(call, weights):
    return lambda: ops.convert_to_numpy(call())


def forward_and_backward(call, weights):
    values = [weight.value for weight in weights]
    if BACKEND == "torch":
        import torch

        return lambda: torch.autograd.grad(call().sum(), values)
    import tensorflow as tf

    def run():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(call())
        return tape.gradient(loss, values)

    return run


def cpu_milliseconds(run):
    start = time.process_time()
    run()
    return 1000 * (time.process_time() - start)


def paired_times(runs, rounds=ROUNDS):
    """CPU times `(rounds, 2)` of two functions that take turns."""
    for run in runs:
        run()
        run()
    times = []
    for i in range(rounds):
        order = (0, 1) if i % 2 else (1, 0)
        found = {j: cpu_milliseconds(runs[j]) for j in order}
        times.append((found[0], found[1]))
    return times


def count_kseq_calls(run):
    """Number of Python functions of the package kseq that a call runs."""
    folder = str(Path(kseq.__file__).parent) + os.sep
    count = 0

    def profile(frame, event, argument):
        nonlocal count
        if event == "call" and frame.f_code.co_filename.startswith(folder):
            count += 1

    run()
    sys.setprofile(profile)
    try:
        run()
    finally:
        sys.setprofile(None)
    return count


def report_recurrent():
    batch, steps, dim = 32, 20, 16
    x = np.ones((batch, steps, dim), "float32")
    lengths = np.full(batch, steps)
    mask = np.ones((batch, steps), bool)
    gru, lstm = DynamicGRU(dim), BiLSTM(dim, 1)
    masked = keras.layers.LSTM(dim, return_sequences=True)
    for name, call in {
        "DynamicGRU": lambda: gru([x, lengths]),
        "BiLSTM": lambda: lstm([x, lengths]),
        "Keras LSTM, one direction": lambda: masked(x, mask=mask),
    }.items():
        run = forward(call, [])
        run()
        times = [cpu_milliseconds(run) for _ in range(20)]
        print(f"{BACKEND}: {name} {statistics.median(times):.1f}")


def report_din():
    passes = {"forward": forward}
    if BACKEND in ("tensorflow", "torch"):
        passes["forward and backward"] = forward_and_backward
    for batch, steps in SIZES:
        calls, weights = din_pair(batch, steps)
        for name, make in passes.items():
            times = paired_times([*map(make, calls, weights)])
            ours, plain = map(statistics.median, zip(*times, strict=True))
            ratio = statistics.median(a / b for a, b in times)
            print(
                f"{BACKEND}: DIN B={batch} T={steps} E={DIM}, {name}: "
                f"kseq {ours:.2f} ms, plain Keras {plain:.2f} ms, "
                f"ratio {ratio:.2f}",
                flush=True,
            )
    (call, _), _ = din_pair(*SIZES[0])
    print(f"{BACKEND}: one DIN call runs {count_kseq_calls(call)} functions")


def main():
    if BACKEND == "torch":
        import torch

        torch.set_num_threads(1)
    elif BACKEND == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    report_din()
    report_recurrent()


if __name__ == "__main__":
    main()
