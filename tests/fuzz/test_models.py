"""Models with random histories."""

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kseq.agreement.tables import tolerance
from tests.fuzz.examples import ASKED, examples, only_fast
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


def draw_inputs(rng):
    """Return the inputs of all models by name, with padded histories."""
    batch = rng.choice((1, 2, 5))

    def integers(low, high, *shape):
        return rng.integers(low, high + 1, (batch, *shape), "int32")

    lengths = dict.fromkeys(HISTORY_PREFIXES, integers(0, STEPS))
    inputs = {
        "user": integers(0, SIZES["user"] - 1),
        "price": integers(-3, 3, 2).astype("float32"),
        "tags": integers(0, SIZES["tags"] - 1, 3),
        "seq_length": lengths["hist_"],
        "sess_length": integers(0, SESSIONS),
    }
    lengths |= {f"sess_{i}_": integers(0, STEPS) for i in range(SESSIONS)}
    for name in CANDIDATE:
        inputs[name] = integers(1, SIZES[name] - 1)
        for prefix, length in lengths.items():
            ids = integers(1, SIZES[name] - 1, STEPS)
            valid = np.arange(STEPS) < length[:, None]
            inputs[prefix + name] = np.where(valid, ids, 0)
    return inputs


def assert_close(got, expected):
    assert got.shape == expected.shape
    # Probabilities of sums of a few hundred terms.
    limit = 5 * tolerance("forward", "float32").limit
    assert np.abs(got - expected).max(initial=0) <= limit


@only_fast
@pytest.mark.parametrize(
    "names", [[n] for n in KINDS] if ASKED else [KINDS], ids=" ".join
)
@examples(1 / 6, 1)
@given(seed=st.integers(0, 2**32 - 1))
def test_rows_and_padding_are_independent(names, seed):
    rng = np.random.default_rng(seed)
    name = rng.choice(names)
    x = draw_inputs(rng)
    expected = predict(model(name), x)
    order = rng.permutation(len(expected))
    for rows in (order, order[:1]):
        got = predict(model(name), {n: a[rows] for n, a in x.items()})
        assert_close(got, expected[rows])
    more = rng.choice((1, 3))
    changed = {
        n: np.pad(a, ((0, 0), (0, more))) if a.shape[1:] == (STEPS,) else a
        for n, a in x.items()
    }
    if name.startswith("DIEN"):  # the only model that takes lengths
        past = np.arange(STEPS + more) >= x["seq_length"][:, None]
        for n in changed:
            if n.startswith(HISTORY_PREFIXES):
                changed[n] = np.where(past, rng.integers(5), changed[n])
    assert_close(predict(model(name), changed), expected)
