"""Measure how long scoring the candidates of one user takes.

Prints the CPU milliseconds of a prediction, on one core of a backend: of whole
models, which process the history again for each candidate, and of the parts
that could process it once.

    for b in tensorflow torch jax; do
        KERAS_BACKEND=$b python benchmarks/candidates.py; done
"""

import os
import statistics
import time

os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
os.environ["OMP_NUM_THREADS"] = "1"

import keras
import numpy as np

from kseq.feature_column import SparseFeat, VarLenSparseFeat
from kseq.layers import AttentionSequencePoolingLayer, DynamicGRU
from kseq.models import DIEN, DIN, score_candidates

CANDIDATES, STEPS, SIZE, DIM = 100, 100, 1000, 16
DRAW = np.random.default_rng(0)


def columns():
    names = ["item", "cate"]
    result = [SparseFeat(name, SIZE, DIM) for name in names]
    for name in names:
        ids = SparseFeat(f"hist_{name}", SIZE, DIM, embedding_name=name)
        result.append(VarLenSparseFeat(ids, STEPS, length_name="seq_length"))
    return result, names


def ids(*shape):
    return DRAW.integers(1, SIZE, shape)


USER = {"hist_item": ids(STEPS), "hist_cate": ids(STEPS), "seq_length": STEPS}


def scoring(model, count):
    """Return a function that scores `count` candidates for one user."""
    candidates = {"item": ids(count), "cate": ids(count)}
    return lambda: score_candidates(model, USER, candidates)


def attention(rows, candidates):
    """Return a function that runs DIN's attention on `rows` histories."""
    width = 2 * DIM
    query = keras.Input((candidates, width))
    keys = keras.Input((STEPS, width))
    lengths = keras.Input((), dtype="int32")
    layer = AttentionSequencePoolingLayer((80, 40), "dice")
    return prediction([query, keys, lengths], layer, rows)


def first_gru(rows):
    """Return a function that runs DIEN's first GRU on `rows` histories."""
    inputs = [keras.Input((STEPS, 2 * DIM)), keras.Input((), dtype="int32")]
    return prediction(inputs, DynamicGRU(2 * DIM), rows)


def prediction(inputs, layer, rows):
    model = keras.Model(inputs, layer(inputs))
    batch = [
        np.full(rows, STEPS)
        if len(x.shape) == 1
        else DRAW.normal(size=(rows, *x.shape[1:])).astype("float32")
        for x in inputs
    ]
    return lambda: model.predict_on_batch(batch)


def milliseconds(call, calls=30):
    def once():
        start = time.process_time()
        call()
        return 1000 * (time.process_time() - start)

    for _ in range(3):  # the first call compiles
        once()
    return statistics.median(once() for _ in range(calls))


def main():
    din = DIN(*columns())
    dien = DIEN(*columns(), gru_type="AUGRU")
    rows = {
        "DIN, one candidate": scoring(din, 1),
        "DIN, all candidates": scoring(din, CANDIDATES),
        "  attention alone": attention(CANDIDATES, 1),
        "  attention alone, one history": attention(1, CANDIDATES),
        "DIEN (AUGRU), all candidates": scoring(dien, CANDIDATES),
        "  its first GRU alone": first_gru(CANDIDATES),
        "  its first GRU alone, one history": first_gru(1),
    }
    for name, call in rows.items():
        print(f"{keras.backend.backend()}: {name}: {milliseconds(call):.1f}")


if __name__ == "__main__":
    main()
