"""Measure several candidates in one row against a row for each candidate.

Prints a Markdown table of CPU milliseconds, on one core of a backend: scoring
the K candidates of one user, and a training step of 32 users with 50 candidates
each. The two forms alternate, and the median is printed.

    for b in tensorflow torch jax; do
        KERAS_BACKEND=$b python benchmarks/candidates.py; done

With `--update`, prints the time of the user's part: DIEN's whole history, and
one new event by `update_model`.

With `--memory FORM`, prints by how many MB scoring K candidates raises the peak
memory of a process: by "score_candidates", in batches of 512 "rows" that repeat
the history, or in one row, "one batch".
"""

import argparse
import multiprocessing
import os
import resource
import statistics
import time

os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
os.environ["OMP_NUM_THREADS"] = "1"

import keras
import numpy as np

from kseq.feature_column import SparseFeat, VarLenSparseFeat
from kseq.models import (
    BST,
    DIEN,
    DIN,
    DSIN,
    ranking_model,
    score_candidates,
    split_model,
    update_model,
)

NAMES = ["item", "cate"]
SIZE, DIM, SESSIONS, BATCH = 1000, 16, 5, 512
COUNTS = (1, 100, 1000, 10_000)
SPAWN = multiprocessing.get_context("spawn")
FORMS = ("score_candidates", "rows", "one batch")
DRAW = np.random.default_rng(0)


def ids(*shape):
    return DRAW.integers(1, SIZE, shape)


def make(name, steps, **options):
    columns = [SparseFeat(name, SIZE, DIM) for name in NAMES]
    prefixes = ["hist_"]
    if name == "DSIN":
        prefixes = [f"sess_{i}_" for i in range(SESSIONS)]
        steps //= SESSIONS
        options |= {"mask_padding": True, "att_embedding_size": 4}
    if name == "DIEN":
        options["gru_type"] = "AUGRU"
    for prefix in prefixes:
        for item in NAMES:
            column = SparseFeat(prefix + item, SIZE, DIM, embedding_name=item)
            length = None if name == "DSIN" else "seq_length"
            columns.append(VarLenSparseFeat(column, steps, length_name=length))
    build = {"DIN": DIN, "DIEN": DIEN, "DSIN": DSIN, "BST": BST}[name]
    return build(columns, NAMES, **options)


def user_features(model, rows):
    """Full histories of users."""
    return {
        x.name: np.full((rows, 1), 5 if x.name == "sess_length" else 10**4)
        if x.shape[1] == 1
        else ids(rows, x.shape[1])
        for x in model.inputs
        if x.name not in NAMES
    }


def scoring(name, steps, count, model=None):
    """Three functions that score the same candidates."""
    model = model or make(name, steps)
    user = user_features(model, 1)
    candidates = {name: ids(count) for name in NAMES}

    def lists():
        return score_candidates(model, user, candidates, batch_size=BATCH)

    def rows():
        scores = []
        for start in range(0, count, BATCH):
            part = {n: x[start : start + BATCH] for n, x in candidates.items()}
            number = len(part["item"])
            part |= {n: x.repeat(number, 0) for n, x in user.items()}
            scores.append(np.asarray(model.predict_on_batch(part))[:, 0])
        return np.concatenate(scores)

    def one_batch():
        row = {n: x[None] for n, x in candidates.items()}
        return ranking_model(model).predict_on_batch(user | row)

    return lists, rows, one_batch


def training(name, steps, users=32, count=50):
    """Two functions that train on the same candidates."""
    lists = make(name, steps, num_candidates=None)
    rows = make(name, steps)
    for model in (lists, rows):
        model.compile("sgd", "binary_crossentropy")
    x = user_features(rows, users)
    candidates = {name: ids(users, count) for name in NAMES}
    y = DRAW.integers(0, 2, (users, count)).astype("float32")
    repeated = {n: v.repeat(count, 0) for n, v in x.items()}
    repeated |= {n: v.reshape(-1, 1) for n, v in candidates.items()}
    return (
        lambda: lists.train_on_batch(x | candidates, y),
        lambda: rows.train_on_batch(repeated, y.reshape(-1, 1)),
    )


def updating(steps):
    """Two functions that compute a user's state: all of it, and one event."""
    model = make("DIEN", None)
    user, update = split_model(model)[0], update_model(model)

    def features(number):
        ids_of = {f"hist_{name}": ids(1, number) for name in NAMES}
        return ids_of | {"seq_length": np.array([[number]])}

    whole, event = features(steps), features(1)
    state = user.predict(whole, verbose=0)
    return (
        lambda: update.predict_on_batch(state | event),
        lambda: user.predict_on_batch(whole),
    )


def milliseconds(calls, repeats):
    """The median CPU time of each function."""
    times = [[] for _ in calls]
    for i in range(repeats + 2):  # the first calls compile
        for call, found in zip(calls, times, strict=True):
            start = time.process_time()
            call()
            if i > 1:
                found.append(1000 * (time.process_time() - start))
    return [statistics.median(found) for found in times]


def print_row(name, steps, what, calls, repeats):
    lists, rows = milliseconds(calls, repeats)
    print(
        f"| {keras.backend.backend()} | {name} | {steps} | {what} | "
        f"{lists:.1f} | {rows:.1f} | {rows / lists:.1f} |",
        flush=True,
    )


def print_memory(name, steps, form):
    """In a process of its own, since the peak only grows."""
    model = make(name, steps)
    peaks = []
    for count in (1, *COUNTS):  # the first call compiles
        scoring(name, steps, count, model)[FORMS.index(form)]()
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    megabytes = [f"{(peak - peaks[0]) // 1024:,}" for peak in peaks[1:]]
    print(
        f"| {keras.backend.backend()} | {name} | {steps} | {form} | "
        f"{' | '.join(megabytes)} |",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--memory", help=f"of {', '.join(FORMS)}")
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--counts", default="1,100,1000")
    parser.add_argument("--models", default="DIN,DIEN,DSIN,BST")
    arguments = parser.parse_args()
    counts = [int(count) for count in arguments.counts.split(",")]
    if arguments.update:
        for steps in (50, 200):
            print_row("DIEN", steps, "one event", updating(steps), 15)
        return
    for name in arguments.models.split(","):
        for steps in (50, 200):
            if arguments.memory:
                work = {"args": (name, steps, arguments.memory)}
                process = SPAWN.Process(target=print_memory, **work)
                process.start()
                process.join()
                continue
            for count in counts:
                repeats = 7 if count < 1000 else 3 if count < 10_000 else 1
                calls = scoring(name, steps, count)[:2]
                print_row(name, steps, f"K = {count:,}", calls, repeats)
            if steps == 50 and 1 in counts:
                print_row(name, steps, "training", training(name, steps), 3)


if __name__ == "__main__":
    main()
