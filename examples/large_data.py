"""Train on a click log larger than memory, with histories in length buckets.

    KERAS_BACKEND=jax python examples/large_data.py

The log is stored in flat files, which are memory-mapped: the items of all
histories in one array, and the offset where each history starts.
`BucketedBatches` of kseq.data reads histories of similar length and pads them
to the next of a few bucket lengths. The script alternates epochs with buckets
and with padding to the longest, and compares their CPU time.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import keras
import numpy as np

from kseq.data import BucketedBatches, Ragged
from kseq.feature_column import SparseFeat, VarLenSparseFeat
from kseq.models import DIN

ITEMS, KINDS, LONGEST = 5_000, 8, 128
BUCKETS = (16, 32, 64, LONGEST)  # each shape is compiled once


def write_log(folder: Path, rows: int) -> None:
    """Write histories of log-normal lengths, half with 12 clicks or fewer."""
    draw = np.random.default_rng(0)
    lengths = np.exp(draw.normal(2.5, 1.0, rows)).astype("int64")
    starts = np.concatenate([[0], lengths.clip(0, LONGEST).cumsum()])
    items = draw.integers(1, ITEMS, starts[-1]).astype("int32")
    item = draw.integers(1, ITEMS, rows).astype("int32")
    click = item % KINDS < KINDS // 2
    click ^= draw.random(rows) < 0.1
    arrays = {"items": items, "starts": starts, "item": item}
    for name, x in {**arrays, "click": click.astype("float32")}.items():
        np.save(folder / f"{name}.npy", x)


def open_log(
    folder: Path, batch: int, buckets: tuple[int, ...] = BUCKETS
) -> BucketedBatches:
    """Return batches that are read from the files on demand."""
    items, starts, item, click = (
        np.load(folder / f"{name}.npy", mmap_mode="r")
        for name in ("items", "starts", "item", "click")
    )
    history = Ragged(items, starts[:-1], starts[1:])
    return BucketedBatches(
        {"item": item, "hist_item": history},
        click,
        lengths=history.lengths,
        batch_size=batch,
        buckets=buckets,
        drop_remainder=True,
        seed=0,
    )


def make_model() -> keras.Model:
    """Return a compiled DIN for histories of any length."""
    keras.utils.set_random_seed(0)
    clicks = SparseFeat("hist_item", ITEMS, 16, embedding_name="item")
    columns = [
        SparseFeat("item", ITEMS, 16),
        VarLenSparseFeat(clicks, maxlen=None),
    ]
    model = DIN(columns, ["item"], dnn_hidden_units=(64, 32))
    model.compile(keras.optimizers.Adam(1e-2), "binary_crossentropy")
    return model


def measure(folder: Path, batch: int, epochs: int) -> dict[str, list[float]]:
    """Return the CPU seconds a row of each epoch; the first one compiles."""
    logs = {
        "bucketed": open_log(folder, batch),
        "padded to the longest": open_log(folder, batch, (LONGEST,)),
    }
    models = {name: make_model() for name in logs}
    seconds = {name: [] for name in logs}
    for epoch in range(1 + epochs):
        for name, log in logs.items():
            start = time.process_time()
            fitted = models[name].fit(log, verbose=0)
            elapsed = (time.process_time() - start) / (len(log) * batch)
            loss = fitted.history["loss"][0]
            print(f"{name}: {1e6 * elapsed:.1f} us a row, loss {loss:.4f}")
            if epoch:
                seconds[name].append(elapsed)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=16_384)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_log(Path(folder), options.rows)
        seconds = measure(Path(folder), options.batch, options.epochs)
    bucketed, longest = map(statistics.median, seconds.values())
    print(
        f"{keras.backend.backend()}: bucketing is {longest / bucketed:.2f} "
        f"times as fast: {1e6 * bucketed:.1f} instead of {1e6 * longest:.1f} "
        "us a row"
    )


if __name__ == "__main__":
    main()
