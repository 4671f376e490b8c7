"""GRU, its kin and LSTM, against one step a time in NumPy."""

import re

import numpy as np
import pytest
from keras import ops

from kseq.ops import gru, lstm, recurrence
from kseq.ops.backends.plain import no_form
from tests.arrays import to_numpy
from tests.ops.compute import (
    assert_close,
    compute,
    draw,
    each_dtype,
    gradient,
    needs_gradients,
)
from tests.ops.unequal import MASK
from tests.reference import recurrence as reference

X = draw("steps", 6, 5, 4)
SCORES = draw("step scores", 6, 5)
START = draw("start", 6, 3)
# Of units 3.
GATES = draw("gates", 7, 6), draw("gates bias", 6)
CANDIDATE = draw("candidate", 7, 3), draw("candidate bias", 3)
LSTM = (
    draw("lstm kernel", 4, 12),
    draw("lstm recurrent", 3, 12),
    draw("lstm bias", 12),
)

# Whether it takes scores, and the arguments.
CELLS = {
    "GRU": (False, {"gru_type": "GRU"}),
    "AIGRU": (False, {"gru_type": "AIGRU"}),
    "AGRU": (True, {"gru_type": "AGRU"}),
    "AUGRU": (True, {"gru_type": "AUGRU"}),
    "AUGRU of the paper": (
        True,
        {"gru_type": "AUGRU", "augru_form": "paper"},
    ),
}
each_cell = pytest.mark.parametrize("cell", CELLS)


def recurrent(part, start=True):
    """`gru` as a function of tensors that gives one of its two results."""

    def function(x, gates, gates_bias, candidate, bias, scores, h, **options):
        return gru(
            x,
            MASK,
            (gates, gates_bias),
            (candidate, bias),
            scores=scores,
            initial_state=h if start else None,
            **options,
        )[part]

    return function


@each_dtype
@each_cell
@pytest.mark.parametrize("start", [True, False])
def test_gru(dtype, cell, start):
    needs_scores, options = CELLS[cell]
    scores = SCORES if needs_scores else None
    expected = reference.gru(
        X,
        MASK,
        (*GATES, *CANDIDATE),
        scores,
        options["gru_type"],
        options.get("augru_form", "deepctr"),
        START if start else None,
    )
    for part in range(2):
        got = compute(
            recurrent(part, start),
            dtype,
            *(X, *GATES, *CANDIDATE, scores, START),
            **options,
        )
        assert_close(got, expected[part], dtype)


def test_a_gru_is_plain_and_deepctrs_unless_told_otherwise():
    arguments = X, *GATES, *CANDIDATE, SCORES, START
    for options, named in (
        ({}, {"gru_type": "GRU"}),
        (
            {"gru_type": "AUGRU"},
            {"gru_type": "AUGRU", "augru_form": "deepctr"},
        ),
    ):
        by_default = compute(recurrent(0), "float32", *arguments, **options)
        told = compute(recurrent(0), "float32", *arguments, **named)
        np.testing.assert_array_equal(by_default, told)


@each_cell
@pytest.mark.parametrize("filling", [np.nan, np.inf, 1e30])
def test_padding_moves_no_state(cell, filling):
    needs_scores, options = CELLS[cell]
    results = []
    for value in (0.0, filling):
        x = np.where(MASK[..., None], X, value)
        scores = np.where(MASK, SCORES, value) if needs_scores else None
        given = x, *GATES, *CANDIDATE, scores, START
        results.append(
            [
                compute(recurrent(part), "float32", *given, **options)
                for part in range(2)
            ]
        )
    for got, expected in zip(*results, strict=True):
        np.testing.assert_array_equal(got, expected)


@needs_gradients
@each_cell
def test_gradients_of_a_gru_are_those_of_small_steps(cell):
    needs_scores, options = CELLS[cell]
    scores = SCORES if needs_scores else None

    def outputs(x):
        found = reference.gru(
            x,
            MASK,
            (*GATES, *CANDIDATE),
            scores,
            options["gru_type"],
            options.get("augru_form", "deepctr"),
            START,
        )
        return found[0].sum() + found[1].sum()

    def function(x):
        parts = (
            recurrent(part)(
                x,
                *(a.astype("float32") for a in (*GATES, *CANDIDATE)),
                *(scores, START.astype("float32")),
                **options,
            )
            for part in range(2)
        )
        first, second = parts
        return [first, second]

    expected = np.zeros_like(X)
    for index in np.ndindex(X.shape):
        moved = X.astype(complex)
        moved[index] += 1e-30j
        expected[index] = outputs(moved).imag / 1e-30
    np.testing.assert_allclose(
        gradient(function, X), expected, rtol=1e-4, atol=1e-5
    )


def backwards(reverse):
    return lambda x, kernel, recurrent, bias: lstm(
        x, MASK, kernel, recurrent, bias, reverse=reverse
    )


@each_dtype
@pytest.mark.parametrize("reverse", [False, True])
def test_lstm(dtype, reverse):
    got = compute(backwards(reverse), dtype, X, *LSTM)
    expected = reference.lstm(X, MASK, *LSTM, reverse=reverse)
    assert_close(got, expected, dtype)


def test_an_lstm_goes_forwards_unless_told_otherwise():
    got = compute(
        lambda x, *weights: lstm(x, MASK, *weights), "float32", X, *LSTM
    )
    forwards = compute(backwards(False), "float32", X, *LSTM)
    np.testing.assert_array_equal(got, forwards)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("filling", [np.nan, np.inf, 1e30])
def test_padding_moves_no_cell(reverse, filling):
    got, expected = (
        compute(
            backwards(reverse),
            "float32",
            np.where(MASK[..., None], X, value),
            *LSTM,
        )
        for value in (filling, 0.0)
    )
    np.testing.assert_array_equal(got, expected)


def single(x):
    return x.astype("float32")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"gates": (single(GATES[0][:6]), single(GATES[1]))},
            "gates[0]: expected shape (dim + units, 2 * units) with "
            "dim + units = 7; received (6, 6)",
        ),
        (
            {"gates": (single(GATES[0][:, :5]), single(GATES[1]))},
            "gates[0]: expected shape (dim + units, 2 * units) with "
            "2 * units = 6; received (7, 5)",
        ),
        (
            {"candidate": (single(CANDIDATE[0][:6]), single(CANDIDATE[1]))},
            "gates[0]: expected shape (dim + units, 2 * units) with "
            "dim + units = 6; received (7, 6)",
        ),
        (
            {"gru_type": "LSTM"},
            "gru_type: expected one of 'GRU', 'AIGRU', 'AGRU', 'AUGRU'; "
            "received 'LSTM'",
        ),
        (
            {"augru_form": "mine"},
            "augru_form: expected one of 'deepctr', 'paper'; received 'mine'",
        ),
        (
            {"gru_type": "AGRU"},
            "scores: expected (batch, steps), for AGRU; received None",
        ),
        (
            {"valid": MASK[:, 0]},
            "valid: expected a tensor of rank 2; received shape (6,)",
        ),
        (
            {"valid": np.ones((6, 5, 4), bool)},
            "valid: expected a tensor of rank 2; received shape (6, 5, 4)",
        ),
        (
            {"x": single(X[..., 0])},
            "x: expected a tensor of rank 3; received shape (6, 5)",
        ),
    ],
    ids=lambda case: case.split(":")[0] if isinstance(case, str) else "",
)
def test_what_does_not_fit_a_gru_is_refused(changed, message):
    arguments = {
        "x": single(X),
        "valid": MASK,
        "gates": tuple(map(single, GATES)),
        "candidate": tuple(map(single, CANDIDATE)),
    }
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        gru(**arguments | changed)


def test_what_does_not_fit_an_lstm_is_refused():
    kernel, recurrent, bias = map(single, LSTM)
    message = (
        "recurrent_kernel: expected shape (units, 4 * units); received (3, 11)"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        lstm(single(X), MASK, kernel, recurrent[:, :11], bias)


def test_the_loop_is_told_which_steps_count(monkeypatch):
    """It need not compute the others: nothing else would show that it does."""
    told = []
    loop = recurrence.loop

    def watched(*arguments, valid=None, **options):
        told.append(valid)
        return loop(*arguments, valid=valid, **options)

    monkeypatch.setattr("kseq.ops.recurrence.loop", watched)
    monkeypatch.setattr("kseq.ops.recurrence.fused_lstm", no_form)
    gru(
        single(X),
        MASK,
        tuple(map(single, GATES)),
        tuple(map(single, CANDIDATE)),
    )
    for reverse in (False, True):
        lstm(single(X), MASK, *map(single, LSTM), reverse=reverse)
    for got, expected in zip(told, (MASK, MASK, MASK[:, ::-1]), strict=True):
        np.testing.assert_array_equal(to_numpy(got), expected)


def test_an_lstm_of_the_backend_s_own_is_taken(monkeypatch):
    told = []

    def own(x, valid, kernel, recurrent_kernel, bias, reverse):
        told.append(reverse)
        return ops.ones((6, 5, 3))

    monkeypatch.setattr("kseq.ops.recurrence.fused_lstm", own)
    got = lstm(single(X), MASK, *map(single, LSTM), reverse=True)
    np.testing.assert_array_equal(
        to_numpy(got), np.repeat(MASK[..., None], 3, axis=2)
    )
    assert told == [True]


@pytest.mark.parametrize("reverse", [False, True])
def test_an_lstm_as_a_loop(reverse, monkeypatch):
    monkeypatch.setattr("kseq.ops.recurrence.fused_lstm", no_form)
    got = compute(backwards(reverse), "float32", X, *LSTM)
    expected = reference.lstm(X, MASK, *LSTM, reverse=reverse)
    assert_close(got, expected, "float32")
