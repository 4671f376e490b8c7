"""Models with random histories."""

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from kseq.agreement.tables import tolerance
from tests.fuzz.examples import ASKED, examples
from tests.models.examples import (
    BY_NAME,
    CANDIDATE,
    HISTORY_PREFIXES,
    SESSIONS,
    SIZES,
    predict,
)
from tests.models.test_promises import KINDS

STEPS = 6


@functools.cache
def model(name):
    return BY_NAME[name].unknown_steps()


@st.composite
def features(draw):
    """The inputs of all models by name, with padded histories."""
    batch = draw(st.sampled_from((1, 2, 5)))

    def integers(low, high, *shape):
        elements = st.integers(low, high)
        return draw(arrays.arrays("int32", (batch, *shape), elements=elements))

    lengths = dict.fromkeys(HISTORY_PREFIXES, integers(0, STEPS))
    found = {
        "user": integers(0, SIZES["user"] - 1),
        "price": integers(-3, 3, 2).astype("float32"),
        "tags": integers(0, SIZES["tags"] - 1, 3),
        "seq_length": lengths["hist_"],
        "sess_length": integers(0, SESSIONS),
    }
    lengths |= {f"sess_{i}_": integers(0, STEPS) for i in range(SESSIONS)}
    for name in CANDIDATE:
        found[name] = integers(1, SIZES[name] - 1)
        for prefix, length in lengths.items():
            ids = integers(1, SIZES[name] - 1, STEPS)
            valid = np.arange(STEPS) < length[:, None]
            found[prefix + name] = np.where(valid, ids, 0)
    return found


def assert_close(got, expected):
    assert got.shape == expected.shape
    assert np.all(np.isfinite(got))
    # Sums of a few hundred terms, as probabilities.
    limit = 5 * tolerance("forward", "float32").limit
    assert np.abs(got - expected).max(initial=0) <= limit


def each_model(*models):
    """Test every model by itself; in the suite, a random one per example."""
    names = [[name] for name in models] if ASKED else [models]
    return pytest.mark.parametrize("names", names, ids=" ".join)


@each_model(*KINDS)
@examples(1 / 3)
@given(data=st.data(), x=features(), more=st.sampled_from((1, 3)))
def test_rows_and_padding_are_independent(names, data, x, more):
    name = data.draw(st.sampled_from(names))
    expected = predict(model(name), x)
    order = data.draw(st.permutations(range(len(expected))))
    for rows in (order, order[:1]):
        got = predict(model(name), {n: a[rows] for n, a in x.items()})
        assert_close(got, expected[rows])
    longer = {
        n: np.pad(a, ((0, 0), (0, more))) if a.shape[1:] == (STEPS,) else a
        for n, a in x.items()
    }
    assert_close(predict(model(name), longer), expected)


@each_model("DIEN-GRU", "DIEN-AUGRU-negatives")
@examples(1 / 3)
@given(data=st.data(), x=features())
def test_steps_beyond_lengths_are_inert(names, data, x):
    name = data.draw(st.sampled_from(names))
    valid = np.arange(STEPS) < x["seq_length"][:, None]
    filled = {
        n: np.where(valid, a, data.draw(st.integers(0, 4)))
        if n.startswith(HISTORY_PREFIXES)
        else a
        for n, a in x.items()
    }
    assert_close(predict(model(name), filled), predict(model(name), x))
