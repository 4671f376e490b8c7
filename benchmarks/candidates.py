"""What scoring the candidates of one user costs, and reading the history once.

Prints the CPU time of a prediction, in milliseconds, on one core of a backend:
of whole models, which read the history again for each candidate, and of their
parts alone.

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
    found = [SparseFeat(name, SIZE, DIM) for name in names]
    for name in names:
        ids = SparseFeat(f"hist_{name}", SIZE, DIM, embedding_name=name)
        found.append(VarLenSparseFeat(ids, STEPS, length_name="seq_length"))
    return found, names


def ids(*shape):
    return DRAW.integers(1, SIZE, shape)


USER = {"hist_item": ids(STEPS), "hist_cate": ids(STEPS), "seq_length": STEPS}


def scoring(model, count):
    """A call that scores so many candidates for one user."""
    candidates = {"item": ids(count), "cate": ids(count)}
    return lambda: score_candidates(model, USER, candidates)


def attending(rows, candidates):
    """A call of DIN's attention, each row of candidates to a history."""
    width = 2 * DIM
    query = keras.Input((candidates, width))
    keys = keras.Input((STEPS, width))
    lengths = keras.Input((), dtype="int32")
    attend = AttentionSequencePoolingLayer((80, 40), "dice")
    return predicting([query, keys, lengths], attend, rows)


def reading(rows):
    """A call of DIEN's first GRU."""
    inputs = [keras.Input((STEPS, 2 * DIM)), keras.Input((), dtype="int32")]
    return predicting(inputs, DynamicGRU(2 * DIM), rows)


def predicting(inputs, layer, rows):
    model = keras.Model(inputs, layer(inputs))
    given = [
        np.full(rows, STEPS)
        if len(x.shape) == 1
        else DRAW.normal(size=(rows, *x.shape[1:])).astype("float32")
        for x in inputs
    ]
    return lambda: model.predict_on_batch(given)


def milliseconds(call, calls=30):
    def once():
        start = time.process_time()
        call()
        return 1000 * (time.process_time() - start)

    for _ in range(3):  # the first one compiles
        once()
    return statistics.median(once() for _ in range(calls))


def main():
    din = DIN(*columns())
    dien = DIEN(*columns(), gru_type="AUGRU")
    rows = {
        "DIN, one candidate": scoring(din, 1),
        "DIN, all candidates": scoring(din, CANDIDATES),
        "  attention alone": attending(CANDIDATES, 1),
        "  attention alone, all to one history": attending(1, CANDIDATES),
        "DIEN (AUGRU), all candidates": scoring(dien, CANDIDATES),
        "  its first GRU alone": reading(CANDIDATES),
        "  its first GRU alone, one history": reading(1),
    }
    for name, call in rows.items():
        print(f"{keras.backend.backend()}: {name}: {milliseconds(call):.1f}")


if __name__ == "__main__":
    main()
