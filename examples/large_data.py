"""Train on a click log larger than memory, with histories in length buckets.

    KERAS_BACKEND=jax python examples/large_data.py

The log is stored in shards of flat files, which are memory-mapped: the items of
all histories in one array, and the offset where each history starts. A
`keras.utils.PyDataset` batches histories of similar length and pads them to the
next of a few bucket lengths. The script alternates epochs with buckets and with
padding to the longest, and compares their CPU time.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import keras
import numpy as np

from kseq.feature_column import SparseFeat, VarLenSparseFeat
from kseq.models import DIN

ITEMS, KINDS, LONGEST = 5_000, 8, 128
BUCKETS = (16, 32, 64, LONGEST)  # each shape is compiled once


def write_shards(folder: Path, shards: int, rows: int) -> None:
    """Write histories of log-normal lengths, half with 12 clicks or fewer."""
    for shard in range(shards):
        draw = np.random.default_rng(shard)
        lengths = np.exp(draw.normal(2.5, 1.0, rows)).astype("int64")
        lengths = lengths.clip(0, LONGEST)
        starts = np.concatenate([[0], lengths.cumsum()])
        items = draw.integers(1, ITEMS, starts[-1]).astype("int32")
        item = draw.integers(1, ITEMS, rows).astype("int32")
        click = item % KINDS < KINDS // 2
        click ^= draw.random(rows) < 0.1
        arrays = {"items": items, "starts": starts, "item": item}
        for name, x in {**arrays, "click": click.astype("float32")}.items():
            np.save(folder / f"{shard:03}-{name}.npy", x)


class ClickLog(keras.utils.PyDataset):
    """Batches read from a folder of shards on demand.

    Only the order of the rows is in memory, 4 bytes a row.

    Args:
        folder: the folder that `write_shards` filled.
        batch: rows in a batch. Smaller remainders of a shard's bucket are
            dropped.
        buckets: lengths to which histories are padded, in ascending order.
        seed: seeds the order, which changes every epoch.
    """

    def __init__(self, folder, batch, buckets=BUCKETS, seed=0, **options):
        super().__init__(**options)
        self.batch = batch
        self.buckets = np.array(buckets)
        self.draw = np.random.default_rng(seed)
        names = sorted(p.name[:3] for p in Path(folder).glob("*-starts.npy"))
        self.shards = [
            {
                name: np.load(Path(folder) / f"{n}-{name}.npy", mmap_mode="r")
                for name in ("items", "starts", "item", "click")
            }
            for n in names
        ]
        self.on_epoch_end()

    def on_epoch_end(self) -> None:
        """Shuffle the rows of each bucket, and the batches."""
        self.batches = []
        for number, shard in enumerate(self.shards):
            bucket = self.buckets.searchsorted(np.diff(shard["starts"]))
            for i, steps in enumerate(self.buckets):
                rows = np.flatnonzero(bucket == i).astype("int32")
                self.draw.shuffle(rows)
                for k in range(len(rows) // self.batch):
                    part = rows[k * self.batch : (k + 1) * self.batch]
                    self.batches.append((number, int(steps), np.sort(part)))
        self.draw.shuffle(self.batches)
        # On TensorFlow, Keras infers the varying dimensions from the first two
        # batches, so their lengths must differ.
        lengths = [steps for _, steps, _ in self.batches]
        for i, steps in enumerate(lengths):
            if steps != lengths[0]:
                first, other = self.batches[1], self.batches[i]
                self.batches[1], self.batches[i] = other, first
                break

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index):
        number, steps, rows = self.batches[index]
        shard = self.shards[number]
        history = np.zeros((len(rows), steps), "int32")
        for line, row in zip(history, rows, strict=True):
            first, end = shard["starts"][row : row + 2]
            line[: end - first] = shard["items"][first:end]
        x = {"item": shard["item"][rows][:, None], "hist_item": history}
        return x, shard["click"][rows][:, None]


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
        "bucketed": ClickLog(folder, batch),
        "padded to the longest": ClickLog(folder, batch, (LONGEST,)),
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
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument(
        "--rows", type=int, default=8192, help="rows of a shard"
    )
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_shards(Path(folder), options.shards, options.rows)
        seconds = measure(Path(folder), options.batch, options.epochs)
    bucketed, longest = map(statistics.median, seconds.values())
    print(
        f"{keras.backend.backend()}: bucketing is {longest / bucketed:.2f} "
        f"times as fast: {1e6 * bucketed:.1f} instead of {1e6 * longest:.1f} "
        "us a row"
    )


if __name__ == "__main__":
    main()
