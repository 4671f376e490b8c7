"""Forms of the recurrent networks; values are compared elsewhere."""

import numpy as np
import pytest
from keras import ops

from kseq.ops import gru, lstm, recurrence
from kseq.ops.backends.plain import not_available
from kseq.ops.dtypes import dtype_of
from tests.arrays import to_numpy
from tests.cases import MASK
from tests.ops.compute import assert_close, compute, tensor
from tests.ops.examples import BY_NAME


def single(name):
    example = BY_NAME[name]
    return {
        n: tuple(a.astype("float32") for a in x)
        if isinstance(x, tuple)
        else x.astype("float32" if x.dtype.kind == "f" else x.dtype)
        for n, x in example.arrays("float32").items()
    }


def test_the_loop_gets_the_valid_steps(monkeypatch):
    """It may skip the others; no result depends on it."""
    calls = []
    loop = recurrence.loop

    def watched(*arguments, valid=None, **options):
        calls.append(to_numpy(valid))
        return loop(*arguments, valid=valid, **options)

    monkeypatch.setattr(recurrence, "loop", watched)
    monkeypatch.setattr(recurrence, "fused_lstm", not_available)
    gru(**single("gru"))
    for reverse in (False, True):
        lstm(**single("lstm"), reverse=reverse)
    for got, expected in zip(calls, (MASK, MASK, MASK[:, ::-1]), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_the_lstm_of_the_backend_is_used(monkeypatch):
    calls = []

    def fused(x, valid, kernel, recurrent_kernel, bias, reverse):
        calls.append(reverse)
        return ops.ones((4, 6, 2))

    monkeypatch.setattr(recurrence, "fused_lstm", fused)
    got = to_numpy(lstm(**single("lstm"), reverse=True))
    np.testing.assert_array_equal(got, np.repeat(MASK[..., None], 2, axis=2))
    assert calls == [True]


def test_gru_ignores_scores_that_it_does_not_need():
    arrays = single("gru-AUGRU")
    expected = compute(BY_NAME["gru-AIGRU"], "float32", **single("gru-AIGRU"))
    got = compute(gru, "float32", **arrays)
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["gru-AUGRU", "lstm"])
def test_weights_are_cast_to_the_sequence(name):
    arrays = single(name)
    arrays["x"] = tensor(arrays["x"], "float16")
    got = BY_NAME[name](**arrays)
    got = got[0] if isinstance(got, tuple) else got
    assert dtype_of(got) == "float16"
    expected = BY_NAME[name].expected(BY_NAME[name].arrays("float32"))[0]
    np.testing.assert_allclose(to_numpy(got), expected, atol=1e-2)


@pytest.mark.parametrize("reverse", [False, True])
def test_padding_only_in_front(reverse):
    """The state starts at the first valid step."""
    example = BY_NAME["lstm-reverse" if reverse else "lstm"]
    arrays = example.arrays("float32")
    arrays["valid"] = np.arange(6) >= np.array([[0], [2], [5], [6]])
    got = compute(example, "float32", **arrays)
    assert_close(got, example.expected(arrays)[0], "float32")
