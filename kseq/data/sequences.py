from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import keras
import numpy as np

from kseq.checks import (
    Unquoted,
    check_bool,
    check_instance,
    check_items,
    check_nonnegative,
    check_optional_int,
    check_positive_int,
    raise_invalid,
)
from kseq.data.catalogue import Catalogue
from kseq.data.columns import Array, factorize, read_column, to_numbers
from kseq.data.negatives import NegativeSampling, draw_negatives
from kseq.data.ragged import Ragged
from kseq.data.samples import Samples
from kseq.data.vocabulary import OOV_ID, Vocabulary


def sequence_samples(
    events: Any,
    *,
    steps: int,
    user: str = "user",
    item: str = "item",
    time: str = "time",
    label: str | None = None,
    features: Sequence[str] = (),
    context: Sequence[str] = (),
    history: Sequence[str] = (),
    vocabularies: Mapping[str, Vocabulary] | None = None,
    session_gap: Any = None,
    session_count: int = 5,
    session_steps: int | None = None,
    negatives: NegativeSampling | None = None,
    padded: bool = True,
    verbose: bool = False,
) -> Samples:
    """Return a training row for each event, with the user's events before it.

    The history of an event has the user's last `steps` events of an earlier
    time, oldest first and padded with zeros at the end. Events of the same time
    are not in each other's history, so that no row knows its future.

    Args:
        events: a pandas DataFrame, a pyarrow Table, a dict of lists or arrays,
            or anything else that returns a column as `events[name]`. Any order:
            it matters only for the order of a user's simultaneous events in a
            history, and for which negatives a seed draws.
        steps: the largest number of steps of a history.
        user: the name of the users' column.
        item: the name of the items' column.
        time: the name of the column of times: numbers or datetimes.
        label: the name of a column of numbers, such as clicks. Histories have
            the events with labels above 0 only. None: all events are positive.
        features: the names of other columns that describe the item.
        context: the names of columns that describe the event itself, such as
            the hour or the device. They are not in histories.
        history: the names of columns that are in histories only, because they
            are unknown beforehand, such as a rating.
        vocabularies: by column, to encode strings or other ids. Columns of
            integers without one must be ids from 1, because 0 is padding.
        session_gap: a longer pause, a number or for datetimes a timedelta,
            starts a new session; None for no sessions.
        session_count: the largest number of sessions: the last ones.
        session_steps: the largest number of steps of a session: the last ones;
            None for `steps`.
        negatives: how to draw another item for each step, for DIEN; None for no
            such inputs.
        padded: False for sequences that are `Ragged`, which need much less
            memory; `BucketedBatches` pads them.
        verbose: whether to show a progress bar of the inputs.

    Returns:
        `Samples`, one row for each event, in the order of `events`. Its inputs,
        for an item's column "item":

        - "item" and each of `features` and `context`: `(rows,)`;
        - "hist_item" and so on: `(rows, steps)`;
        - "seq_length", the histories' lengths: `(rows,)`;
        - with `negatives`, "neg_hist_item" and so on: `(rows, steps)`;
        - with `session_gap`, "sess_0_item" and so on, `(rows, session_steps)`,
          the oldest session first, and "sess_length", the number of sessions:
          `(rows,)`. A history's sessions are those of its `steps` events.

        Integers are int32 and other numbers float32.

    Raises:
        ValueError: a column is missing, has missing values, another length or
            the wrong type; ids are below 1; or an argument is out of range.

    Example:

    >>> from kseq.data import sequence_samples
    >>> log = {
    ...     "user": ["ann", "bob", "ann", "ann", "ann"],
    ...     "item": [7, 7, 8, 9, 7],
    ...     "time": [10, 15, 20, 20, 30],
    ... }
    >>> samples = sequence_samples(log, steps=2)
    >>> samples.inputs["hist_item"]
    array([[0, 0],
           [0, 0],
           [7, 0],
           [7, 0],
           [8, 9]], dtype=int32)
    >>> samples.inputs["seq_length"]
    array([0, 0, 1, 1, 2], dtype=int32)
    """
    steps = check_positive_int("steps", steps)
    count = check_positive_int("session_count", session_count)
    width = check_optional_int("session_steps", session_steps) or steps
    check_bool("padded", padded)
    if negatives is not None:
        check_instance(
            "negatives", negatives, NegativeSampling, "a NegativeSampling"
        )
    log = _Log(events, dict(vocabularies or {}))
    item_columns = [item, *_names("features", features)]
    context = _names("context", context)
    targets = {name: log.ids(name) for name in item_columns}
    steps_of = targets | {n: log.ids(n) for n in _names("history", history)}
    times = log.times(time)
    users, user_numbers = factorize(log.column(user))
    labels = log.labels(label)
    rows = _find_histories(users, times, labels > 0, steps)
    catalogue = _make_catalogue(
        targets, users, user_numbers, labels > 0, item in log.vocabularies
    )

    steps_of = {name: x[rows.events] for name, x in steps_of.items()}
    sequences = {
        f"hist_{name}": Ragged(x, rows.starts, rows.ends)
        for name, x in steps_of.items()
    }
    inputs: dict[str, Any] = targets | {n: log.ids(n, 0) for n in context}
    inputs["seq_length"] = (rows.ends - rows.starts).astype("int32")
    if negatives is not None:
        # Drawn in the order of the log.
        positive = np.flatnonzero(labels > 0)
        drawn = np.zeros(len(labels), "int64")
        drawn[positive] = draw_negatives(
            negatives,
            catalogue,
            catalogue.event_items[positive],
            users[positive],
        )
        for name, values in catalogue.columns.items():
            sequences[f"neg_hist_{name}"] = Ragged(
                values[drawn[rows.events]], rows.starts, rows.ends
            )
    limits = dict.fromkeys(sequences, steps)
    if session_gap is not None:
        sessions, inputs["sess_length"] = _split_sessions(
            rows,
            times[rows.events],
            _check_gap(session_gap, times),
            count,
        )
        for i, (starts, ends) in enumerate(sessions):
            for name, x in steps_of.items():
                name = f"sess_{i}_{name}"
                sequences[name] = Ragged(
                    x, np.maximum(starts, ends - width), ends
                )
                limits[name] = width
    bar = keras.utils.Progbar(
        len(sequences), verbose=int(check_bool("verbose", verbose))
    )
    for name, sequence in sequences.items():
        inputs[name] = sequence.pad(limits[name]) if padded else sequence
        bar.add(1)
    return Samples(inputs, labels, log.column(user), times, catalogue)


class _Log:
    """Reads columns of one length, and converts them to numbers."""

    def __init__(
        self, events: Any, vocabularies: dict[str, Vocabulary]
    ) -> None:
        self.events = events
        self.vocabularies = vocabularies
        self.read: dict[str, Array] = {}

    def column(self, name: str) -> Array:
        if name not in self.read:
            column = read_column(self.events, name)
            for other, values in self.read.items():
                if len(values) != len(column):
                    raise_invalid(
                        name, f"{len(values)} values, like {other}", len(column)
                    )
            self.read[name] = column
        return self.read[name]

    def ids(self, name: str, minimum: int = 1) -> Array:
        column = self.column(name)
        if vocabulary := self.vocabularies.get(name):
            return vocabulary.encode(column)
        return to_numbers(name, column, minimum)

    def times(self, name: str) -> Array:
        times = self.column(name)
        if times.dtype.kind not in "iufmM":
            raise_invalid(name, "numbers or datetimes", times.dtype)
        return times

    def labels(self, name: str | None) -> Array:
        if name is None:
            first = next(iter(self.read.values()))
            return np.ones(len(first), "float32")
        labels = self.column(name)
        if labels.dtype.kind not in "biuf":
            raise_invalid(name, "numbers", labels.dtype)
        return labels.astype("float32")


class _Rows(NamedTuple):
    """The history of each event, as a slice of the positive events."""

    events: Array  # the positive events, by user and time
    starts: Array
    ends: Array


def _names(argument: str, names: Any) -> tuple[str, ...]:
    return check_items(argument, names, str, "a sequence of names of columns")


def _find_histories(
    users: Array, times: Array, positive: Array, steps: int
) -> _Rows:
    order = np.lexsort((times, users))  # stable
    users, times, positive = users[order], times[order], positive[order]
    new_user = np.ones(len(order), bool)
    new_user[1:] = users[1:] != users[:-1]
    new_time = new_user.copy()
    new_time[1:] |= times[1:] != times[:-1]
    # The positive events before each event, in this order.
    before = positive.cumsum() - positive
    starts, ends = np.zeros((2, len(order)), "int64")
    ends[order] = before[_last_true(new_time)]
    starts[order] = before[_last_true(new_user)]
    return _Rows(order[positive], np.maximum(starts, ends - steps), ends)


def _last_true(mask: Array) -> Array:
    """Return the position of the last True at or before each position."""
    return np.maximum.accumulate(np.where(mask, np.arange(len(mask)), 0))


def _check_gap(gap: Any, times: Array) -> Any:
    if times.dtype.kind in "iuf":
        return check_nonnegative("session_gap", gap)
    if not isinstance(gap, (timedelta, np.timedelta64)):
        raise_invalid("session_gap", "a timedelta, as for the times", gap)
    return np.timedelta64(gap)


def _split_sessions(
    rows: _Rows, times: Array, gap: Any, count: int
) -> tuple[list[tuple[Array, Array]], Array]:
    """Return starts and ends of each row's last sessions, and their number.

    `times` are those of `rows.events`.
    """
    # Where two users meet, no bound is needed: rows limit their sessions.
    pauses = np.flatnonzero(np.diff(times) > gap)
    bounds = np.concatenate([[0], pauses + 1, [len(times)]])
    # The numbers of the sessions with a history's first and last events.
    first = np.searchsorted(bounds, rows.starts, side="right") - 1
    last = np.searchsorted(bounds, rows.ends, side="left") - 1
    kept = np.where(
        rows.ends > rows.starts, np.minimum(last - first + 1, count), 0
    )
    sessions = []
    for i in range(count):
        session = np.where(i < kept, last - kept + 1 + i, 0)
        starts = np.maximum(bounds[session], rows.starts)
        ends = np.minimum(bounds[session + 1], rows.ends)
        sessions.append(
            (np.where(i < kept, starts, 0), np.where(i < kept, ends, 0))
        )
    return sessions, kept.astype("int32")


def _make_catalogue(
    columns: dict[str, Array],
    users: Array,
    user_numbers: dict[Any, int],
    positive: Array,
    encoded: bool,
) -> Catalogue:
    """Return the catalogue; an item's features are those of its first event."""
    item = next(iter(columns))
    if columns[item].dtype != "int32":
        raise_invalid(item, "integers", Unquoted(columns[item].dtype))
    ids, first, numbers = np.unique(
        columns[item], return_index=True, return_inverse=True
    )
    return Catalogue(
        item,
        {name: x[first] for name, x in columns.items()},
        np.bincount(numbers[positive], minlength=len(ids)).astype("float64"),
        (ids != OOV_ID) | (not encoded),
        numbers,
        users,
        user_numbers,
    )
