"""Forms of the recurrent networks; values are compared elsewhere."""

import keras
import numpy as np
import pytest
from keras import ops

from kseq.ops import gru, lstm, recurrence
from kseq.ops.backends.plain import not_available
from kseq.ops.dtypes import dtype_of
from tests.arrays import to_numpy
from tests.cases import MASK
from tests.ops.compute import tensor
from tests.ops.examples import BY_NAME


def single(name):
    return keras.tree.map_structure(
        lambda x: x.astype("float32") if x.dtype.kind == "f" else x,
        BY_NAME[name].arrays("float32"),
    )


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


@pytest.mark.parametrize("name", ["gru-AUGRU", "lstm"])
def test_weights_are_cast_to_the_sequence(name):
    arrays = single(name)
    arrays["x"] = tensor(arrays["x"], "float16")
    got = BY_NAME[name](**arrays)
    got = got[0] if isinstance(got, tuple) else got
    assert dtype_of(got) == "float16"
    expected = BY_NAME[name].expected(BY_NAME[name].arrays("float32"))[0]
    np.testing.assert_allclose(to_numpy(got), expected, atol=1e-2)
