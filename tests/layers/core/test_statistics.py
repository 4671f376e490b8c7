"""The moving statistics of BatchNormalization, and of Dice, which uses it.

The outputs are compared with the reference in tests/agreement.
"""

import numpy as np
import pytest

from kseq.layers.core import DNN, BatchNormalization, Dice, LocalActivationUnit
from kseq.layers.sequence import AttentionSequencePoolingLayer
from tests.layers.catalog import LENGTHS, MASK, draw32
from tests.support import assert_close, to_numpy

pytestmark = pytest.mark.once

X = draw32("x", 4, 6, 3)
PREFIX = np.arange(6) < LENGTHS["steps"][:, None]
each_class = pytest.mark.parametrize("cls", [BatchNormalization, Dice])


def fill(filling):
    return np.where(MASK[..., None], X, filling).astype("float32")


def moving(layer):
    """Moving mean and variance of a layer's batch normalisation."""
    bn = layer.bn if isinstance(layer, Dice) else layer
    return to_numpy(bn.moving_mean.value), to_numpy(bn.moving_variance.value)


def assert_moved(layer, entries, axes=(0,), momentum=0.99, updates=1):
    """The statistics started at 0 and 1 and follow those of the entries."""
    entries = entries.astype("float64")
    kept = momentum**updates
    mean, variance = entries.mean(axes), entries.var(axes)
    assert_close(moving(layer)[0], (1 - kept) * mean)
    assert_close(moving(layer)[1], kept + (1 - kept) * variance)


@each_class
@pytest.mark.parametrize("mask", [None, MASK])
def test_they_follow_the_valid_steps(cls, mask):
    layer = cls()
    for updates in (1, 2):
        layer(X, mask=mask, training=True)
        entries = X.reshape(-1, 3) if mask is None else X[mask]
        assert_moved(layer, entries, updates=updates)
    before = moving(layer)
    out = layer(X, mask=MASK & False, training=True)  # no valid step
    assert np.all(np.isfinite(to_numpy(out)))
    np.testing.assert_array_equal(moving(layer), before)


@pytest.mark.parametrize("axis", [1, 2, -2])
def test_statistics_along_any_axis(axis):
    layer = BatchNormalization(axis=axis)
    layer(X, training=True)
    assert_moved(layer, X, tuple(a for a in range(3) if a != axis % 3))


def scores(query, kernel, bias):
    """The scorer's first sums for each candidate and valid step."""
    q, k = np.broadcast_arrays(query[:, :, None], X[:, None])
    sums = np.concatenate([q, k, q - k, q * k], axis=-1) @ kernel + bias
    return sums[np.broadcast_to(PREFIX[:, None], sums.shape[:3])]


@pytest.mark.parametrize("candidates", [1, 2])
@pytest.mark.parametrize("outer", [True, False])
def test_dice_in_attention_uses_each_candidates_valid_steps(candidates, outer):
    query = draw32("q", 4, candidates, 3)
    if outer:
        layer = AttentionSequencePoolingLayer((4,), "dice")
        dnn = layer.local_att.dnn
    else:
        layer = LocalActivationUnit((4,), "dice")
        dnn = layer.dnn
    layer(query, X, lengths=LENGTHS["steps"], training=True)
    (dice,) = dnn.activation_layers
    kernel, bias = (
        to_numpy(w).astype("float64") for w in (dnn.kernels[0], dnn.biases[0])
    )
    assert_moved(dice, scores(query.astype("float64"), kernel, bias))
    before = moving(dice)
    none, nans = np.zeros(4, "int32"), np.full_like(X, np.nan)
    out = layer(query, nans, lengths=none, training=True)
    assert np.all(to_numpy(out) == 0) or not outer
    np.testing.assert_array_equal(moving(dice), before)


def test_a_net_gives_its_mask_to_all_statistics():
    """They are those of the valid steps alone."""
    nets = [DNN((4, 2), "dice", use_bn=True, seed=0) for _ in range(2)]
    nets[0](fill(np.nan), mask=MASK, training=True)
    nets[1](X[MASK], training=True)
    first, second = ([to_numpy(w) for w in n.get_weights()] for n in nets)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
