"""kseq.data compared with plain loops; leakage, ties, seeds and bad logs."""

import datetime

import numpy as np
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
pandas = pytest.importorskip("pandas")
pyarrow = pytest.importorskip("pyarrow")

STEPS, GAP, SESSIONS, SESSION_STEPS = 4, 3, 2, 3


def random_events(count, seed):
    """Return few users and times, so that many events are simultaneous."""
    draw = np.random.default_rng(seed)
    columns = [draw.choice(["ann", "bob", "eve"], count)]
    columns += [draw.integers(1, high, count) for high in (10, 30)]
    columns.append(draw.random(count) < 0.7)
    return [*zip(*(c.tolist() for c in columns), strict=True)]


EVENTS = st.builds(random_events, st.integers(0, 60), st.integers(0, 1 << 20))


def make_samples(events, **options):
    names = ("user", "item", "time", "click")
    log = {name: [e[i] for e in events] for i, name in enumerate(names)}
    log["kind"] = [item % 3 + 1 for item in log["item"]]
    options |= {"session_count": SESSIONS, "session_steps": SESSION_STEPS}
    options |= {"steps": STEPS, "features": ["kind"], "session_gap": GAP}
    return sequence_samples(log, label="click", **options)


def pad(items, width):
    return [*items, *[0] * (width - len(items))]


@given(EVENTS)
def test_samples_are_those_of_a_loop(events):
    samples = make_samples(events)
    assert len(samples) == len(events)
    for row, (user, item, time, click) in enumerate(events):
        x = {
            name: array[row].tolist()
            for name, array in samples[:].inputs.items()
        }
        clicks = [e for e in events if e[0] == user and e[3] and e[2] < time]
        clicks = sorted(clicks, key=lambda e: e[2])[-STEPS:]
        sessions = []
        for i, event in enumerate(clicks):
            if i == 0 or event[2] - clicks[i - 1][2] > GAP:
                sessions.append([])
            sessions[-1].append(event[1])
        sessions = [items[-SESSION_STEPS:] for items in sessions[-SESSIONS:]]
        items = [e[1] for e in clicks]
        expected = {"item": item, "hist_item": pad(items, STEPS)}
        for i, session in enumerate([*sessions, [], []][:SESSIONS]):
            expected[f"sess_{i}_item"] = pad(session, SESSION_STEPS)
        expected |= {
            name.replace("item", "kind"): (
                np.where(ids, np.mod(ids, 3) + 1, 0).tolist()
            )
            for name, ids in expected.items()
        }
        expected |= {"seq_length": len(items), "sess_length": len(sessions)}
        assert x == expected
        found = samples.user[row], samples.time[row], samples.label[row]
        assert found == (user, time, click)


@given(EVENTS, st.randoms(use_true_random=False))
def test_future_events_and_the_order_of_the_log_change_no_history(events, rng):
    # Without simultaneous events of a user, whose order is that of the log.
    events = [*{(e[0], e[2]): e for e in events}.values()]
    shuffled = rng.sample(events, len(events))
    order = [shuffled.index(e) for e in events]
    now = rng.randint(0, 30)
    samples, other = make_samples(events), make_samples(shuffled)
    past = make_samples([e for e in events if e[2] <= now])
    for name, array in samples.inputs.items():
        assert (array == other.inputs[name][order]).all()
        assert (array[samples.time <= now] == past.inputs[name]).all()


def test_empty_log_and_ragged_samples(monkeypatch):
    empty = make_samples([], negatives=NegativeSampling())
    assert empty.inputs["hist_item"].shape == (0, STEPS)
    assert [*map(len, split_last(empty))] == [0, 0, 0]
    events = [("ann", 2 + i % 2, i, True) for i in range(9)]
    sampling = NegativeSampling(seed=1)
    padded = make_samples(events, negatives=sampling, verbose=True)
    ragged = make_samples(events, negatives=sampling, padded=False)
    monkeypatch.setattr("kseq.data.ragged.CHUNK", 8)
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
    "stars": [5.5, 0.0, 1.0],
}
ITEMS = Vocabulary.fit(LOG["item"], min_count=2)


def in_utc(log):
    time = pandas.to_datetime(pandas.Series(log["time"]), utc=True)
    time = time.dt.tz_convert("Asia/Tokyo")
    return pandas.DataFrame(log | {"time": time}).convert_dtypes()


def of_datetimes(log):
    return log | {"time": log["time"].astype(datetime.datetime)}


@pytest.mark.parametrize(
    "convert", [dict, pandas.DataFrame, in_utc, pyarrow.table, of_datetimes]
)
def test_any_kind_of_log(convert):
    samples = sequence_samples(
        convert(LOG),
        steps=2,
        context=["hour"],
        history=["stars"],
        vocabularies={"item": ITEMS},
        session_gap=datetime.timedelta(seconds=1),
    )
    assert samples.inputs["item"].tolist() == [2, 1, 2]
    assert samples.inputs["hour"].tolist() == [0, 1, 2]
    assert samples.inputs["hist_item"].tolist() == [[0, 0], [2, 0], [0, 0]]
    assert samples.inputs["hist_stars"].tolist() == [[0, 0], [5.5, 0], [0, 0]]
    assert not {"stars", "hist_hour"} & {*samples.inputs}
    assert samples.user.tolist() == LOG["user"]
    assert (samples.time == LOG["time"]).all()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"user": [3, None, 4]}, "user: .* missing values; .* row 1"),
        ({"user": ["a", "b", np.nan]}, "user: .* missing values; .* row 2"),
        ({"user": [pandas.NA, 3, 4]}, "user: .* missing values; .* row 0"),
        ({"user": [1, "b", "c"]}, "user: .* one type; received int, str"),
        ({"time": [1.0, np.nan, 2]}, "time: .* missing values; .* row 1"),
        ({"time": np.array([1, 2, "NaT"], "M8[s]")}, "time: .* row 2"),
        ({"time": ["1", "2", "3"]}, "time: expected numbers or datetimes"),
        ({"hour": [1, 2]}, "hour: expected 3 values"),
        ({"stars": ["a", "b", "c"]}, "stars: .* `vocabularies`"),
        ({"stars": [0, 1, 2]}, "stars: .*0 is padding.*; received 0"),
        ({"stars": [1, 2, 1 << 31]}, "stars: expected integers from 1 to"),
        ({"context": ["day"]}, "events: expected a column 'day'"),
        ({"session_gap": 1}, "session_gap: expected a timedelta"),
    ],
)
def test_bad_log_raises(change, error):
    options = {"steps": 2, "context": ["hour"], "history": ["stars"]}
    log = LOG | {n: x for n, x in change.items() if n in LOG}
    options |= {n: x for n, x in change.items() if n not in LOG}
    with pytest.raises(ValueError, match=error):
        sequence_samples(log, vocabularies={"item": ITEMS}, **options)


@given(st.lists(st.text(max_size=3), max_size=20), st.integers(1, 3))
def test_vocabulary_encodes_and_decodes(values, minimum):
    vocabulary = Vocabulary.fit(values, min_count=minimum)
    known = {v for v in values if values.count(v) >= minimum}
    ids = vocabulary.encode(values)
    assert vocabulary.size == len(known) + 2
    assert vocabulary.decode(ids) == [v if v in known else None for v in values]
    assert not (ids == 0).any()
    assert vocabulary == Vocabulary.fit(values[::-1], min_count=minimum)


SMALL = Vocabulary.fit(np.array([7, 9, 9, 8]), max_size=4)
CLICKS = {"user": [1] * 5, "item": [*"abbcc"], "time": [*range(5)]}
SAMPLES = sequence_samples(
    CLICKS,
    steps=2,
    vocabularies={"item": Vocabulary.fit(CLICKS["item"], min_count=2)},
)
ROWS = add_negatives(SAMPLES, 1)
LISTS = add_negatives(SAMPLES, 9, lists=True)
UNSEEN = NegativeSampling(exclude_seen=True)
ONE = np.array([1])


def test_vocabulary_is_cut_and_saved(tmp_path):
    assert SMALL.values == (9, 7)
    assert SMALL.encode(np.array([[9, 8], [7, 7]])).tolist() == [[2, 1], [3, 3]]
    for vocabulary in (SMALL, Vocabulary(("ä", "b"))):
        vocabulary.save(tmp_path / "ids.json")
        assert Vocabulary.load(tmp_path / "ids.json") == vocabulary


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: Vocabulary.load(__file__), "path: expected a file of Vocab"),
        (lambda: Vocabulary(("a", "a")), "values: expected distinct"),
        (lambda: Vocabulary.fit([1.5]), "values: expected strings or integers"),
        (lambda: SMALL.encode(["7"]), "values: expected values like 9"),
        (lambda: SMALL.decode([4]), "ids: expected integers from 0 to 3"),
        (lambda: add_negatives(SAMPLES, 1, UNSEEN), "user 1 with all items"),
        (lambda: add_negatives(ROWS, 1), "samples: expected labels of 1"),
        (lambda: NegativeSampling(-1), "popularity: expected a finite"),
        (lambda: SAMPLES[0], "rows: expected a slice"),
        (lambda: split_time(SAMPLES, 0.0), "fractions: .* in each part"),
        (lambda: split_time(SAMPLES, 0.8, 0.2), "fractions: .*ascending"),
        (lambda: Ragged(ONE, 1 + ONE, 3 + ONE), "received 2 and 4 in row 0"),
    ],
)
def test_wrong_arguments_raise(call, error):
    with pytest.raises(ValueError, match=error):
        call()


@pytest.mark.parametrize("popularity", [0, 1])
@pytest.mark.parametrize("exclude_seen", [False, True])
def test_negatives_differ_from_positives(popularity, exclude_seen):
    rows = 100 if exclude_seen else 600
    draw = np.random.default_rng(0)
    log = {
        "user": draw.integers(0, 40, rows),
        "item": draw.choice([1, 3, 4, 6], rows, p=[0.7, 0.1, 0.1, 0.1]),
        "time": np.arange(rows),
    }
    log["kind"] = 10 * log["item"]
    sampling = NegativeSampling(popularity, exclude_seen, seed=3)
    options = {"steps": 5, "features": ["kind"], "negatives": sampling}
    samples, again = (sequence_samples(log, **options) for _ in range(2))
    x = samples.inputs
    negatives = x["neg_hist_item"]
    assert (negatives == again.inputs["neg_hist_item"]).all()
    valid = np.arange(5) < x["seq_length"][:, None]
    assert ((negatives != x["hist_item"]) == valid).all()
    assert (x["neg_hist_kind"] == 10 * negatives).all()

    lists = add_negatives(samples, 6, sampling, lists=True)
    items = lists.inputs["item"]
    assert items.shape == (rows, 7)
    assert (items[:, 0] == log["item"]).all()
    assert (items[:, 1:] != items[:, :1]).all()
    assert (lists.label == np.tile([1, 0, 0, 0, 0, 0, 0], (rows, 1))).all()
    assert (lists.inputs["kind"] == 10 * items).all()
    flat = add_negatives(samples, 6, sampling)
    assert (flat.inputs["item"] == items.ravel()).all()
    assert (flat.label == lists.label.ravel()).all()
    assert (flat.inputs["hist_item"] == x["hist_item"].repeat(7, 0)).all()

    pairs = {*zip(log["user"], log["item"], strict=True)}
    drawn = zip(flat.user, flat.inputs["item"], flat.label, strict=True)
    seen = [(user, item) in pairs for user, item, label in drawn if not label]
    assert any(seen) != exclude_seen
    if not exclude_seen:
        # The share of item 1 among the negatives of item 3.
        share = (items[items[:, 0] == 3][:, 1:] == 1).mean()
        assert share == pytest.approx([1 / 3, 7 / 9][popularity], abs=0.08)


def test_unknown_items_are_no_negatives():
    assert set(LISTS.inputs["item"][:, 1:].ravel()) == {2, 3}


@given(EVENTS)
def test_splits(events):
    samples = make_samples(events)
    part = np.zeros(len(events), int)
    for user in {e[0] for e in events}:
        rows = [row for row, e in enumerate(events) if e[0] == user]
        rows.sort(key=lambda row: events[row][2])
        if len(rows) > 2:
            part[rows[-2:]] = 1, 2
    for i, found in enumerate(split_last(samples)):
        for name, array in found.inputs.items():
            assert (array == samples.inputs[name][part == i]).all()
    if events and (samples.time > samples.time.min()).mean() > 0.5:
        train, test = split_time(samples, 0.5)
        assert train.time.max() < test.time.min()
        assert len(train) + len(test) == len(samples)
        assert len(train) <= len(samples) / 2
