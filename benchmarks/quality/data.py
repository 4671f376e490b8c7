"""Ordered histories of items as rows for training, validation and test.

From k events of a user the row's candidate is event k + 1, or an item that the
user has no event with. The last event is for the test, the one before it for
validation.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.quality.configuration import (
    SESSION_GAP,
    SESSION_STEPS,
    SESSIONS,
    Protocol,
)
from kseq.data import (
    NegativeSampling,
    Samples,
    add_negatives,
    sequence_samples,
    split_last,
)

S3REC = {
    "beauty": "Beauty",
    "toys": "Toys_and_Games",
    "sports": "Sports_and_Outdoors",
    "lastfm": "LastFM",
}
SEED = 7  # of the negatives, the same in all runs


@dataclass(frozen=True)
class Events:
    """A log in the order of time, and each item's attribute.

    Args:
        columns: "user", "item", "attribute", "time"; optionally "label", which
            is above 0 where the event is part of the history.
        sessions: whether the times are real.
    """

    columns: dict[str, np.ndarray]
    sessions: bool = False

    def __post_init__(self) -> None:
        if not len(self.columns["user"]):
            raise ValueError("data: expected events; received none")

    def some_users(self, count: int) -> "Events":
        """Return the events of `count` randomly chosen users, or of all."""
        users = np.unique(self.columns["user"])
        users = np.random.default_rng(SEED).permutation(users)[:count]
        kept = np.isin(self.columns["user"], users)
        columns = {name: x[kept] for name, x in self.columns.items()}
        return Events(columns, self.sessions)


def read_s3rec(sequences: Path, attributes: Path) -> Events:
    """Read lines of `user item item ...` and items' attributes as JSON.

    An item's attribute is the first of its list. Ids are positive integers.
    """
    rows = [
        [int(field) for field in line.split()]
        for line in sequences.read_text().splitlines()
        if line.strip()
    ]
    first = {
        int(item): values[0]
        for item, values in json.loads(attributes.read_text()).items()
        if values
    }
    items = [item for _, *history in rows for item in history]
    return Events(
        {
            "user": np.repeat([r[0] for r in rows], [len(r) - 1 for r in rows]),
            "item": np.array(items, "int32"),
            # Attributes from 2, without an attribute 1.
            "attribute": np.array(
                [first.get(item, 0) + 1 for item in items], "int32"
            ),
            "time": np.concatenate([np.arange(len(r) - 1) for r in rows]),
        }
    )


def read_movielens(_: Path | None = None) -> Events:
    """Read MovieLens-100K from recbole's wheel: likes are the history."""
    sys.path.append(str(Path(__file__).parents[2] / "examples"))
    from movielens.data import LIKED_FROM, Catalogue, read, recbole_folder

    ratings, movies = read(recbole_folder())
    ratings.sort(key=lambda rating: rating.time)
    catalogue = Catalogue.from_movies(movies)
    items = np.array([catalogue.index[r.movie] for r in ratings], "int32")
    return Events(
        {
            "user": np.array([int(r.user) for r in ratings]),
            "item": items,
            "attribute": catalogue.genre_set[items],
            "time": np.array([r.time for r in ratings]),
            "label": np.array([float(r.stars >= LIKED_FROM) for r in ratings]),
        },
        sessions=True,
    )


def read(name: str, folder: Path | None) -> Events:
    """Read a data set by its name: of s3rec, "movielens", or a user's NAME.

    A user's folder has NAME.txt and NAME_item2attributes.json.
    """
    if name == "movielens":
        return read_movielens()
    stem = S3REC.get(name, name)
    if folder is None or not (folder / f"{stem}.txt").is_file():
        raise ValueError(
            f"data: expected {stem}.txt in the folder of --data; received "
            f"{folder}"
        )
    return read_s3rec(
        folder / f"{stem}.txt", folder / f"{stem}_item2attributes.json"
    )


def split(events: Events, protocol: Protocol) -> dict[str, Samples]:
    """Return the rows of each part, a positive one before its negatives."""
    sampling = NegativeSampling(exclude_seen=True, seed=SEED)
    samples = sequence_samples(
        events.columns,
        item="item",
        features=["attribute"],
        label="label" if "label" in events.columns else None,
        steps=protocol.steps,
        session_gap=SESSION_GAP if events.sessions else None,
        session_count=SESSIONS,
        session_steps=SESSION_STEPS,
        negatives=sampling,
    )
    positive = samples.label > 0
    samples = samples[positive & (samples.inputs["seq_length"] > 0)]
    train, valid, test = split_last(samples)
    train = train[from_end(train) < protocol.train_events]
    return {
        "train": add_negatives(train, 1, sampling),
        "valid": add_negatives(valid, protocol.valid_negatives, sampling),
        "test": add_negatives(test, protocol.test_negatives, sampling),
    }


def from_end(samples: Samples) -> np.ndarray:
    """Return how many rows of the same user are later than each row."""
    _, user = np.unique(samples.user, return_inverse=True)
    order = np.lexsort((samples.time, user))
    ends = np.cumsum(np.bincount(user))
    result = np.empty(len(user), int)
    result[order] = ends[user[order]] - 1 - np.arange(len(user))
    return result


def sizes(events: Events) -> dict[str, int]:
    """Return the number of ids of each table, with 0 for padding."""
    return {
        name: int(events.columns[name].max()) + 1
        for name in ("item", "attribute")
    }
