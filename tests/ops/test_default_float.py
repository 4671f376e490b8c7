"""Keras's default float decides nothing: an op has the dtype of its inputs."""

import keras
import numpy as np
import pytest

from kseq import ops as kops
from tests.arrays import to_numpy
from tests.ops import test_float64
from tests.ops.compute import tensor


@pytest.fixture
def half_by_default():
    before = keras.config.floatx()
    keras.config.set_floatx("float16")
    yield
    keras.config.set_floatx(before)


@pytest.mark.parametrize("name", test_float64.OPS)
def test_the_default_float_decides_nothing(name, half_by_default):
    (function, *arguments), expected = test_float64.OPS[name]
    if name == "gru":  # makes tensors of its weights

        def function(x):
            weights = [w.astype("float32") for w in test_float64.GRU]
            return kops.gru(x, test_float64.MASK, weights[:2], weights[2:])[0]

    got = to_numpy(function(*(tensor(a, "float32") for a in arguments)))
    assert got.dtype == "float32"
    np.testing.assert_allclose(got, expected, rtol=0, atol=3e-6)


def test_steps_are_counted_beyond_what_a_half_can(half_by_default):
    x = np.ones((1, 4097, 1), "float32")
    valid = np.ones((1, 4097), bool)
    assert to_numpy(kops.masked_mean(x, valid)).tolist() == [[1.0]]
    mask = kops.lengths_to_mask(np.array([4095]), x)
    assert to_numpy(mask).sum() == 4095
    top = to_numpy(kops.k_max(x, 4097, valid=valid))
    assert top.sum() == 4097


def test_halves_are_widened_to_32_bits(half_by_default):
    for dtype in ("float16", "bfloat16"):
        x = keras.ops.ones((2,), dtype)
        assert kops.dtype_of(kops.upcast(x)) == "float32"


def test_attention_hides_what_a_half_cannot_say(half_by_default):
    """In both forms, and in groups, whose loop is given its mask as floats."""
    x = test_float64.X.astype("float32")[:, None]
    additive = [x[0, 0, 0] * 0, x[0, 0, 0]]
    for kind, weights in (("additive", additive), ("cos", [])):
        whole, grouped = (
            to_numpy(
                kops.multi_head_attention(
                    *(x, x, x, test_float64.MASK, kind, tuple(weights)),
                    dropout=dropout,
                    most_scores=most,
                )
            )
            for dropout, most in ((lambda shown: shown, 1 << 20), (None, 7))
        )
        assert whole.dtype == grouped.dtype == "float32"
        assert np.all(np.isfinite(whole))
        np.testing.assert_allclose(grouped, whole, rtol=1e-5, atol=1e-6)
