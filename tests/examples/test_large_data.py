"""The loader of shards: every row, whole, padded as little as it should be."""

import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from kseq.agreement.tables import left_out

EXAMPLES = Path(__file__).parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES))

from large_data import (  # noqa: E402
    BUCKETS,
    LONGEST,
    ClickLog,
    make_model,
    write_shards,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("shards")
    write_shards(made, shards=2, rows=200)
    return made


def rows_of(log: ClickLog) -> list[bytes]:
    rows = []
    for i in range(len(log)):
        x, clicks = log[i]
        steps = x["hist_item"].shape[1]
        whole = np.pad(x["hist_item"], ((0, 0), (0, LONGEST - steps)))
        rows += [
            line.tobytes() for line in np.hstack([x["item"], whole, clicks])
        ]
    return sorted(rows)


def test_buckets_hold_the_same_rows(folder: Path) -> None:
    bucketed = rows_of(ClickLog(folder, 1))
    assert len(bucketed) == 400
    assert bucketed == rows_of(ClickLog(folder, 1, (LONGEST,)))


def test_a_history_lies_in_the_shortest_bucket(folder: Path) -> None:
    log = ClickLog(folder, 2)
    seen = set()
    for i in range(len(log)):
        history = log[i][0]["hist_item"]
        longest = (history > 0).sum(axis=1)
        steps = history.shape[1]
        seen.add(steps)
        shorter = [0, *BUCKETS][BUCKETS.index(steps)]
        assert (longest <= steps).all()
        assert (longest > shorter).all() or shorter == 0
    assert seen == set(BUCKETS)


def test_each_epoch_has_another_order(folder: Path) -> None:
    log = ClickLog(folder, 8)
    before = [rows.tolist() for _, _, rows in log.batches]
    log.on_epoch_end()
    assert before != [rows.tolist() for _, _, rows in log.batches]


def test_it_trains(folder: Path) -> None:
    why = left_out(keras.backend.backend(), "fit", "float32")
    if why is not None:
        pytest.skip(why)
    history = make_model().fit(ClickLog(folder, 16), epochs=2, verbose=0)
    first, last = history.history["loss"]
    assert last < first
