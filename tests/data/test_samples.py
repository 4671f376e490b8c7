"""kseq.data compared with plain loops; leakage, ties, seeds and bad logs."""

import datetime
import re

import numpy as np
import pandas
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kseq.data import (
    NegativeSampling,
    Ragged,
    Vocabulary,
    add_negatives,
    sequence_samples,
    split_last,
    split_time,
)

pytestmark = pytest.mark.once

STEPS, GAP, SESSIONS, SESSION_STEPS = 4, 3, 2, 3
# Few users and times, so that many events are simultaneous.
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob", "eve"]),
        st.integers(1, 9),
        st.integers(0, 15),
        st.booleans(),
    )
)


def log_of(events):
    names = ("user", "item", "time", "click")
    return {name: [e[i] for e in events] for i, name in enumerate(names)}


def make_samples(log, **options):
    log = log | {"kind": [i % 3 + 1 for i in log["item"]]}
    sessions = {"session_count": SESSIONS, "session_steps": SESSION_STEPS}
    return sequence_samples(
        log,
        steps=STEPS,
        label="click",
        features=["kind"],
        session_gap=GAP,
        **sessions,
        **options,
    )


def loop_history(events, row):
    """Return the user's last clicks before an event, oldest first."""
    user, _, time, _ = events[row]
    earlier = [e for e in events if e[0] == user and e[3] and e[2] < time]
    return sorted(earlier, key=lambda e: e[2])[-STEPS:]


def loop_sessions(history):
    sessions = []
    for i, event in enumerate(history):
        if i == 0 or event[2] - history[i - 1][2] > GAP:
            sessions.append([])
        sessions[-1].append(event[1])
    return [items[-SESSION_STEPS:] for items in sessions[-SESSIONS:]]


def pad(items, width):
    return [*items, *[0] * (width - len(items))]


@given(EVENTS)
def test_samples_are_those_of_a_loop(events):
    samples = make_samples(log_of(events))
    x = samples.inputs
    assert len(samples) == len(events)
    for row, (user, item, time, click) in enumerate(events):
        history = loop_history(events, row)
        items = [e[1] for e in history]
        assert x["hist_item"][row].tolist() == pad(items, STEPS)
        kinds = [i % 3 + 1 for i in items]
        assert x["hist_kind"][row].tolist() == pad(kinds, STEPS)
        assert x["seq_length"][row] == len(items)
        sessions = loop_sessions(history)
        assert x["sess_length"][row] == len(sessions)
        for i, session in enumerate(pad(sessions, SESSIONS)):
            found = x[f"sess_{i}_item"][row].tolist()
            assert found == pad(session or [], SESSION_STEPS)
        expected = (item, item % 3 + 1, user, time, click)
        assert expected == (
            *(x["item"][row], x["kind"][row]),
            *(samples.user[row], samples.time[row], samples.label[row]),
        )


@given(EVENTS, st.randoms(use_true_random=False))
def test_future_events_and_the_order_of_the_log_change_no_history(events, rng):
    # Without simultaneous events of a user, whose order is that of the log.
    events = [*{(e[0], e[2]): e for e in events}.values()]
    shuffled = rng.sample(events, len(events))
    samples = make_samples(log_of(events))
    other = make_samples(log_of(shuffled))
    now = rng.randint(0, 15)
    past = make_samples(log_of([e for e in events if e[2] <= now]))
    order = [shuffled.index(e) for e in events]
    for name, array in samples.inputs.items():
        assert (array == other.inputs[name][order]).all()
        assert (array[samples.time <= now] == past.inputs[name]).all()


def test_empty_log_and_ragged_samples():
    empty = make_samples(log_of([]), negatives=NegativeSampling())
    assert empty.inputs["hist_item"].shape == (0, STEPS)
    assert len(split_last(empty)[0]) == 0
    log = log_of([("ann", 2 + i % 2, i, True) for i in range(9)])
    padded = make_samples(log, negatives=NegativeSampling(seed=1))
    ragged = make_samples(
        log, negatives=NegativeSampling(seed=1), padded=False, verbose=True
    )
    for name, array in ragged.inputs.items():
        expected = padded.inputs[name]
        if isinstance(array, Ragged):
            array = array.pad(expected.shape[1])
        np.testing.assert_array_equal(array, expected)
    assert ragged[2:3].inputs["hist_item"].pad().tolist() == [[2, 3]]


LOG = {
    "user": [3, 3, 4],
    "item": ["a", "b", "a"],
    "time": np.array([1, 2, 3], "datetime64[s]"),
    "hour": [0, 1, 2],
    "stars": [5.0, 0.0, 1.0],
}
ITEMS = Vocabulary.fit(LOG["item"], min_count=2)


@pytest.mark.parametrize(
    "convert",
    [
        dict,
        pandas.DataFrame,
        pyarrow.table,
        lambda log: pandas.DataFrame(log).convert_dtypes(),
        lambda log: log | {"time": [*pandas.to_datetime(log["time"])]},
        lambda log: (
            log
            | {"time": pandas.to_datetime(pandas.Series(log["time"]), utc=True)}
        ),
        lambda log: log | {"time": log["time"].astype(datetime.datetime)},
    ],
)
def test_any_kind_of_log(convert):
    samples = sequence_samples(
        convert(LOG),
        steps=2,
        context=["hour"],
        history=["stars"],
        vocabularies={"item": ITEMS},
        session_gap=np.timedelta64(1, "s"),
    )
    assert samples.inputs["hist_item"].tolist() == [[0, 0], [2, 0], [0, 0]]
    assert samples.inputs["hist_stars"].tolist() == [[0, 0], [5, 0], [0, 0]]
    assert samples.inputs["hour"].tolist() == [0, 1, 2]
    assert not {"stars", "hist_hour"} & {*samples.inputs}
    assert samples.inputs["item"].tolist() == [2, 1, 2]
    assert samples.user.tolist() == LOG["user"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"user": [3, None, 4]}, "user: .* missing values; .* row 1"),
        ({"user": ["a", "b", np.nan]}, "user: .* missing values; .* row 2"),
        ({"user": [pandas.NA, 3, 4]}, "user: .* missing values; .* row 0"),
        ({"user": [1, "b", "c"]}, "user: .* one type; received int, str"),
        ({"user": [[1], [2], [3]]}, "user: .* row 0"),
        ({"user": np.ones((3, 1))}, r"user: .* shape \(3, 1\)"),
        ({"time": [1.0, np.nan, 2]}, "time: .* missing values; .* row 1"),
        ({"time": np.array([1, 2, "NaT"], "M8[s]")}, "time: .* row 2"),
        ({"time": ["1", "2", "3"]}, "time: expected numbers or datetimes"),
        ({"hour": [1, 2]}, "hour: expected 3 values"),
        ({"stars": ["a", "b", "c"]}, "stars: .* `vocabularies`"),
        ({"stars": [0, 1, 2]}, "stars: .*0 is padding.*; received 0"),
        ({"stars": [1, 2, 1 << 31]}, "stars: expected integers from 1 to"),
        ({"hour": None}, "hour"),
        ({"context": ["day"]}, "events: expected a column 'day'"),
        ({"context": "hour"}, "context: expected a sequence of names"),
        ({"session_gap": 1}, "session_gap: .* datetime64"),
        ({"steps": 0}, "steps: expected a positive integer"),
        ({"negatives": True}, "negatives: expected a NegativeSampling"),
    ],
)
def test_bad_log_raises(change, error):
    options = {"steps": 2, "context": ["hour"], "history": ["stars"]}
    log = LOG | {n: x for n, x in change.items() if n in LOG}
    options |= {n: x for n, x in change.items() if n not in LOG}
    with pytest.raises(ValueError, match=error):
        sequence_samples(log, vocabularies={"item": ITEMS}, **options)


@given(st.lists(st.text() | st.sampled_from("ab")), st.integers(1, 3))
def test_vocabulary_encodes_and_decodes(values, minimum):
    vocabulary = Vocabulary.fit(values, min_count=minimum)
    known = {v for v in values if values.count(v) >= minimum}
    ids = vocabulary.encode(values)
    assert vocabulary.size == len(known) + 2
    expected = [v if v in known else None for v in values]
    assert vocabulary.decode(ids) == expected
    assert all((i == 1) == (v not in known) for i, v in zip(ids, values))
    assert vocabulary == Vocabulary.fit(values[::-1], min_count=minimum)


def test_vocabulary_files_sizes_and_errors(tmp_path):
    small = Vocabulary.fit(np.array([7, 9, 9, 8]), max_size=4)
    assert small.values == (9, 7)
    assert small.encode(np.array([[9, 8], [7, 7]])).tolist() == [[2, 1], [3, 3]]
    for vocabulary in (small, Vocabulary(("ä", "b"))):
        vocabulary.save(tmp_path / "ids.json")
        assert Vocabulary.load(tmp_path / "ids.json") == vocabulary
    (tmp_path / "ids.json").write_text("[]")
    for call, error in [
        (lambda: Vocabulary.load(tmp_path / "ids.json"), "path: expected a fi"),
        (lambda: Vocabulary(("a", "a")), "values: expected distinct"),
        (lambda: Vocabulary(("a", 1)), "values: expected all"),
        (lambda: Vocabulary.fit([1.5]), "values: expected strings or integers"),
        (lambda: small.encode(["7"]), "values: expected values like 9"),
        (lambda: small.decode([4]), "ids: expected integers from 0 to 3"),
    ]:
        with pytest.raises(ValueError, match=error):
            call()


def popular_log(rows=600):
    rng = np.random.default_rng(0)
    return {
        "user": rng.integers(0, 40, rows),
        "item": rng.choice([1, 3, 4, 6, 7], rows, p=[0.6, 0.1, 0.1, 0.1, 0.1]),
        "time": np.arange(rows),
    } | {"kind": None}


@pytest.mark.parametrize("popularity", [0, 1])
@pytest.mark.parametrize("exclude_seen", [False, True])
def test_negatives_differ_from_positives(popularity, exclude_seen):
    log = popular_log(100 if exclude_seen else 600)
    log["kind"] = 10 * log["item"]
    options = {"steps": 5, "features": ["kind"]}
    sampling = NegativeSampling(popularity, exclude_seen, seed=3)
    samples = sequence_samples(log, negatives=sampling, **options)
    again = sequence_samples(log, negatives=sampling, **options)
    x = samples.inputs
    for name in x:
        np.testing.assert_array_equal(x[name], again.inputs[name])
    steps = np.arange(5) < x["seq_length"][:, None]
    negatives = x["neg_hist_item"]
    assert ((negatives != x["hist_item"]) == steps).all()
    assert (x["neg_hist_kind"] == 10 * negatives).all()

    lists = add_negatives(samples, 6, sampling, lists=True)
    items = lists.inputs["item"]
    assert items.shape == lists.label.shape == (len(samples), 7)
    assert (items[:, 0] == log["item"]).all()
    assert (items[:, 1:] != items[:, :1]).all()
    assert (lists.label == [1, 0, 0, 0, 0, 0, 0]).all()
    assert (lists.inputs["kind"] == 10 * items).all()
    rows = add_negatives(samples, 6, sampling)
    assert (rows.inputs["item"] == items.ravel()).all()
    assert (rows.label == lists.label.ravel()).all()
    assert (rows.inputs["hist_item"] == x["hist_item"].repeat(7, 0)).all()

    pairs = {*zip(log["user"], log["item"], strict=True)}
    drawn = [*zip(rows.user, rows.inputs["item"], rows.label, strict=True)]
    seen = [(user, item) in pairs for user, item, label in drawn if not label]
    assert any(seen) != exclude_seen
    # Of the negatives for item 3, 1 is as frequent as in the log.
    share = (items[items[:, 0] == 3][:, 1:] == 1).mean()
    if not exclude_seen:
        assert share == pytest.approx([1 / 4, 6 / 9][popularity], abs=0.08)


def test_unknown_items_are_no_negatives_and_errors():
    log = {"user": [1] * 5, "item": [*"abbcc"], "time": [*range(5)]}
    items = {"item": Vocabulary.fit(log["item"], min_count=2)}
    samples = sequence_samples(log, steps=2, vocabularies=items)
    drawn = add_negatives(samples, 9, lists=True).inputs["item"]
    assert set(drawn[:, 1:].ravel()) == {2, 3}
    unseen = NegativeSampling(exclude_seen=True)
    for call, error in [
        (lambda: add_negatives(samples, 1, unseen), "user 1 with all items"),
        (lambda: add_negatives(add_negatives(samples, 1), 1), "samples: exp"),
        (lambda: NegativeSampling(popularity=-1), "popularity: expected a fin"),
        (lambda: samples[0], "rows: expected a slice"),
    ]:
        with pytest.raises(ValueError, match=error):
            call()


@given(EVENTS.filter(len))
def test_splits(events):
    samples = make_samples(log_of(events))
    parts = split_last(samples)
    rows = [*zip(samples.user, samples.time, range(len(events)), strict=True)]
    expected = [[], [], []]
    for user in {e[0] for e in events}:
        own = sorted(row for row in rows if row[0] == user)
        cut = len(own) - 2 if len(own) > 2 else len(own)
        parts_of_user = own[:cut], own[cut : cut + 1], own[cut + 1 :]
        for part, chosen in zip(expected, parts_of_user, strict=True):
            part += [row[2] for row in chosen]
    for part, chosen in zip(parts, expected, strict=True):
        own = samples[np.sort(np.array(chosen, int))]
        assert (part.inputs["hist_item"] == own.inputs["hist_item"]).all()
        assert (part.time == own.time).all()
    try:
        train, test = split_time(samples, 0.5)
    except ValueError as error:
        assert re.match("fractions: .* samples in each part", str(error))
        moment = sorted(samples.time)[len(samples) // 2]
        assert moment == samples.time.min()
    else:
        assert train.time.max() < test.time.min()
        assert len(train) + len(test) == len(samples)
        assert len(train) <= len(samples) / 2
