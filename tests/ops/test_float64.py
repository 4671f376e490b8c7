"""float64 goes through every op without a rounding to 32 bits.

Not with the numbers of the other tests: those have 8 significant bits, so that
their products and sums are exact in float32 too.
"""

import numpy as np
import pytest
from keras import ops

from kseq import ops as kops
from tests.cases import MASK
from tests.ops.compute import BACKEND, COMPUTED, compute
from tests.reference import attention, pooling, recurrence, transformer
from tests.reference.masks import select, softmax

pytestmark = pytest.mark.skipif(
    "float64" not in COMPUTED, reason=f"{BACKEND} computes float64 in 32 bits"
)

RNG = np.random.default_rng(11)
X = RNG.normal(size=(4, 6, 3))
SCORES = RNG.normal(size=(4, 6))
QUERY = RNG.normal(size=(4, 2, 3))
KERNEL, BIAS = RNG.normal(size=(12, 5)), RNG.normal(size=5)
WEIGHTS = RNG.normal(size=(4, 2, 6))
VALID = MASK[..., None]


def concatenated():
    q = np.repeat(QUERY[:, :, None], 6, axis=2)
    k = np.repeat(X[:, None], 2, axis=1)
    return np.concatenate([q, k, q - k, q * k], axis=-1)


def moments_of(x, *options):
    return kops.moments(x, (0, 1), *options)[1]


GRU = (
    RNG.normal(size=(5, 4)),
    RNG.normal(size=4),
    RNG.normal(size=(5, 2)),
    RNG.normal(size=2),
)
LSTM = RNG.normal(size=(3, 8)), RNG.normal(size=(2, 8)), RNG.normal(size=8)


def gru_outputs(x):
    weights = [ops.convert_to_tensor(w) for w in GRU]
    return kops.gru(x, MASK, weights[:2], weights[2:])[0]


def attended():
    scores = transformer.scores(X, X, "scaled_dot_product", [])
    return (softmax(scores, MASK[:, None]) @ X)[:, None]


OPS = {
    "zero_padding": ((kops.zero_padding, X, MASK), select(VALID, X)),
    "masked_softmax": (
        (kops.masked_softmax, SCORES, MASK),
        softmax(SCORES, MASK),
    ),
    "masked_sum": (
        (kops.masked_sum, X, MASK),
        pooling.pool(X, MASK, "sum")[:, 0],
    ),
    "masked_mean": (
        (kops.masked_mean, X, MASK),
        pooling.pool(X, MASK, "mean")[:, 0],
    ),
    "masked_max": (
        (kops.masked_max, X, MASK),
        pooling.pool(X, MASK, "max")[:, 0],
    ),
    "step_weights": (
        (kops.step_weights, SCORES, MASK),
        softmax(SCORES, MASK),
    ),
    "k_max": (
        (kops.k_max, X, 2, 1, MASK),
        pooling.k_max(X, 2, 1, MASK),
    ),
    "din_hidden-fold": (
        (kops.din_hidden, QUERY, X, KERNEL, BIAS, "fold"),
        concatenated() @ KERNEL + BIAS,
    ),
    "din_hidden-split": (
        (kops.din_hidden, QUERY, X, KERNEL, BIAS, "split"),
        concatenated() @ KERNEL + BIAS,
    ),
    "attention_weights": (
        (kops.attention_weights, WEIGHTS, MASK, True),
        attention.attention_weights(WEIGHTS, MASK, True),
    ),
    "attention_pool": ((kops.attention_pool, WEIGHTS, X), WEIGHTS @ X),
    "linear": (
        (kops.linear, X, KERNEL[:3], BIAS),
        X @ KERNEL[:3] + BIAS,
    ),
    "upcast": ((kops.upcast, X), X),
    "tanh": ((kops.tanh, X), np.tanh(X)),
    "gru": ((gru_outputs, X), recurrence.gru(X, MASK, GRU)[0]),
    "lstm": (
        (kops.lstm, X, MASK, *LSTM),
        recurrence.lstm(X, MASK, *LSTM),
    ),
    "sinusoid_like": ((kops.sinusoid_like, X), transformer.table(6, 3)),
    "first_rows": ((kops.first_rows, X[0], X[:, :2]), X[0, :2]),
    "l2_normalize": ((kops.l2_normalize, X), transformer.unit(X)),
    "layer_normalize": (
        (kops.layer_normalize, X, BIAS[:3], BIAS[2:]),
        transformer.layer_norm(X, BIAS[:3], BIAS[2:]),
    ),
    "multi_head_attention": (
        (kops.multi_head_attention, X[:, None], X[:, None], X[:, None], MASK),
        attended(),
    ),
    "moments": (
        (moments_of, X),
        X.var(axis=(0, 1), keepdims=True),
    ),
    "moments-mask": (
        (moments_of, X, VALID),
        X[MASK].var(axis=0)[None, None],
    ),
}


@pytest.mark.parametrize("name", OPS)
def test_keeps_float64(name):
    (function, *arguments), expected = OPS[name]
    got = compute(function, "float64", *arguments)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-13)


def test_no_op_is_forgotten():
    without_floats = {
        "lengths_to_mask",
        "resolve_mask",
        "din_form",
        "dtype_of",
        "sinusoid",
    }
    names = {n for n, f in vars(kops).items() if hasattr(f, "__code__")}
    assert {n.split("-")[0] for n in OPS} == names - without_floats
