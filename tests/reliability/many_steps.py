"""Trains for many steps and prints what grew: `python -m ... --steps 1000`.

A process of its own, since what other tests leave behind would count.
"""

import argparse
import gc
import json
from pathlib import Path

import keras
import numpy as np

from kseq.layers.sequence import (
    AttentionSequencePoolingLayer,
    BiasEncoding,
    BiLSTM,
    DynamicGRU,
    KMaxPooling,
    PositionEncoding,
    SequencePoolingLayer,
    Transformer,
    WeightedSequenceLayer,
)
from tests.models import examples

BATCH, DIM = 8, 4
# The length of the batches, one after the other: time is unknown.
LENGTHS = (5, 9, 12, 7)
# What is allocated once, caches too, is there by then.
WARM = 0.3


class Counted(keras.layers.Layer):
    """Counts how often its call runs: once for each trace, or each step."""

    calls = 0

    def call(self, x):
        self.calls += 1
        return x


def layers():
    """All nine in one model of unknown time, and its endless batches."""
    x = keras.Input((None, DIM))
    lengths = keras.Input((), dtype="int32")
    query = keras.Input((1, DIM))
    placed = PositionEncoding(max_steps=max(LENGTHS))(x)
    (biased,) = BiasEncoding(1, max_steps=max(LENGTHS))([placed])
    counted = Counted()
    shown = counted(biased)
    scores = AttentionSequencePoolingLayer(
        (4,), "dice", weight_normalization=True, return_score=True
    )([query, shown, lengths])
    steps = keras.layers.Dense(1)(shown)
    found = [
        SequencePoolingLayer("mean")([shown, lengths]),
        SequencePoolingLayer("max")(
            [WeightedSequenceLayer()([shown, lengths, steps]), lengths]
        ),
        AttentionSequencePoolingLayer((4,))([query, shown, lengths]),
        KMaxPooling(1)([shown, lengths]),
        DynamicGRU(4, "AUGRU", return_sequence=False)([shown, lengths, scores]),
        SequencePoolingLayer("sum")(
            [BiLSTM(4, dropout_rate=0.1)([shown, lengths]), lengths]
        ),
        Transformer(2, 2, use_positional_encoding=False, dropout_rate=0.1)(
            [shown, shown, lengths, lengths]
        ),
    ]
    flat = [keras.layers.Flatten()(y) for y in found]
    y = keras.layers.Dense(1)(keras.layers.Concatenate()(flat))
    rng = np.random.default_rng(0)

    def batches():
        while True:
            for t in LENGTHS:
                yield (
                    (
                        rng.normal(size=(BATCH, t, DIM)).astype("float32"),
                        rng.integers(0, t + 1, BATCH).astype("int32"),
                        rng.normal(size=(BATCH, 1, DIM)).astype("float32"),
                    ),
                    rng.normal(size=(BATCH, 1)).astype("float32"),
                )

    return keras.Model([x, lengths, query], y), batches(), counted


def whole_model(name):
    """One of the four, of histories of unknown time, and its batches."""
    model = examples.BY_NAME[name].unknown_steps()
    counted = Counted()
    model = keras.Model(model.inputs, counted(model.output))
    rng = np.random.default_rng(0)

    def batches():
        while True:
            for t in LENGTHS:
                given = examples.inputs_of(
                    model,
                    examples.arrays(min(t, 9)),  # its table's length
                )
                y = rng.integers(0, 2, size=(examples.BATCH, 1))
                yield given, y.astype("float32")

    return model, batches(), counted


def resident():
    """Bytes of memory that the process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return 4096 * pages


class Watch(keras.callbacks.Callback):
    def __init__(self, counted, steps):
        super().__init__()
        self.counted, self.steps = counted, steps
        self.memory, self.alive = [], []

    def on_train_batch_end(self, batch, logs=None):
        if batch < WARM * self.steps:
            return
        if not self.alive or batch == self.steps - 1:
            gc.collect()
            self.alive.append((len(gc.get_objects()), self.counted.calls))
        if batch % 10 == 0:
            self.memory.append((batch, resident()))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--model", default="layers")
    options = parser.parse_args()
    steps = options.steps
    keras.utils.set_random_seed(0)
    if options.model == "layers":
        model, batches, counted = layers()
    else:
        model, batches, counted = whole_model(options.model)
    model.compile("adam", "mse")
    watch = Watch(counted, steps)
    model.fit(
        batches,
        steps_per_epoch=steps,
        verbose=0,
        shuffle=False,
        callbacks=[watch],
    )
    at, memory = np.array(watch.memory).T
    (warm_objects, warm_calls), (objects, calls) = watch.alive
    report = {
        "backend": keras.backend.backend(),
        "model": options.model,
        "steps": steps,
        "resident MB": round(memory[-1] / 1e6, 1),
        "growth, bytes a step": round(np.polyfit(at, memory, 1)[0]),
        "objects": objects,
        "objects more": objects - warm_objects,
        "calls": calls,
        "calls more": calls - warm_calls,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
