"""The moving statistics of BatchNormalization, and of Dice made on it."""

import numpy as np
import pytest

from kseq.layers.core import (
    DNN,
    BatchNormalization,
    Dice,
    LocalActivationUnit,
)
from kseq.layers.sequence import AttentionSequencePoolingLayer
from tests.arrays import to_numpy
from tests.layers.catalog import draw32
from tests.layers.checks import assert_close

BATCH = 4
X = draw32("x", BATCH, 5, 3)
LENGTHS = np.array([5, 3, 1, 0], "int32")
PREFIX = np.arange(5) < LENGTHS[:, None]
MASK = np.array(
    [[0, 1, 1, 1, 1], [1, 0, 1, 0, 1], [0, 0, 0, 0, 1], [0] * 5], bool
)
EMPTY = np.zeros_like(MASK)


def fill(filling):
    return np.where(MASK[..., None], X, filling).astype("float32")


def moving(layer):
    """Moving mean and variance of a layer's batch normalisation."""
    bn = layer.bn if isinstance(layer, Dice) else layer
    return to_numpy(bn.moving_mean.value), to_numpy(bn.moving_variance.value)


def followed(batch, old, momentum):
    return momentum * old + (1 - momentum) * batch


@pytest.mark.parametrize("cls", [BatchNormalization, Dice])
@pytest.mark.parametrize("mask", [None, MASK, PREFIX])
def test_they_follow_the_steps_that_count(cls, mask):
    layer = cls()
    # None at all: every step counts.
    steps = (X if mask is None else X[mask]).reshape(-1, 3).astype("float64")
    mean, variance = np.zeros(3), np.ones(3)
    for _ in range(2):
        layer(X, mask=mask, training=True)
        mean = followed(steps.mean(axis=0), mean, 0.99)
        variance = followed(steps.var(axis=0), variance, 0.99)
        assert_close(moving(layer)[0], mean)
        assert_close(moving(layer)[1], variance)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_momentum_is_what_is_kept_of_the_old(momentum):
    layer = BatchNormalization(momentum=momentum)
    layer(X, mask=MASK, training=True)
    steps = X[MASK].astype("float64")
    assert_close(moving(layer)[0], followed(steps.mean(0), 0.0, momentum))
    assert_close(moving(layer)[1], followed(steps.var(0), 1.0, momentum))


@pytest.mark.parametrize("axis", [1, 2, -2])
def test_they_are_one_a_place_of_any_axis(axis):
    layer = BatchNormalization(axis=axis, momentum=0.0)
    layer(X, training=True)
    others = tuple(a for a in range(3) if a != axis % 3)
    assert_close(moving(layer)[0], X.astype("float64").mean(axis=others))
    assert_close(moving(layer)[1], X.astype("float64").var(axis=others))


@pytest.mark.parametrize("cls", [BatchNormalization, Dice])
@pytest.mark.parametrize("training", [False, True])
def test_integers_are_taken_as_floats(cls, training):
    numbers = np.rint(3 * X)
    expected = to_numpy(cls()(numbers.astype("float32"), training=training))
    got = to_numpy(cls()(numbers.astype("int32"), training=training))
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("cls", [BatchNormalization, Dice])
def test_a_batch_of_empty_histories_moves_nothing(cls):
    layer = cls()
    layer(X, training=True)
    before = moving(layer)
    out = layer(X, mask=EMPTY, training=True)
    assert np.all(np.isfinite(to_numpy(out)))
    np.testing.assert_array_equal(moving(layer), before)


@pytest.mark.parametrize("cls", [BatchNormalization, Dice])
@pytest.mark.parametrize("filling", [np.nan, np.inf, 1e30])
def test_padding_moves_nothing(cls, filling):
    expected, got = cls(), cls()
    out = expected(X, mask=MASK, training=True)
    filled = fill(filling)
    out_filled = got(filled, mask=MASK, training=True)
    np.testing.assert_array_equal(moving(got), moving(expected))
    np.testing.assert_array_equal(to_numpy(out_filled), to_numpy(out))


@pytest.mark.parametrize("cls", [BatchNormalization, Dice])
def test_the_amount_of_padding_moves_nothing(cls):
    expected, got = cls(), cls()
    expected(X, mask=MASK, training=True)
    x = np.pad(X, ((0, 0), (0, 4), (0, 0)), constant_values=7.0)
    got(x, mask=np.pad(MASK, ((0, 0), (0, 4))), training=True)
    for new, old in zip(moving(got), moving(expected), strict=True):
        assert_close(new, old)


def test_training_uses_the_batch_s_and_inference_the_moving():
    layer = BatchNormalization(epsilon=1e-12)
    layer.build(X.shape)
    layer.moving_mean.assign([1.0, 2.0, 3.0])
    layer.moving_variance.assign([4.0, 4.0, 4.0])
    expected = (X - np.array([1.0, 2.0, 3.0])) / 2.0
    assert_close(to_numpy(layer(X)), expected)
    assert_close(to_numpy(layer(X, training=False)), expected)
    steps = X[MASK].astype("float64")
    normal = (steps - steps.mean(0)) / steps.std(0)
    trained = to_numpy(layer(X, mask=MASK, training=True))
    assert_close(trained[MASK], normal)


def hidden(query, kernel, bias):
    """The scorer's first sums for each candidate and step that count."""
    q, k = np.broadcast_arrays(query[:, :, None], X[:, None])
    sums = np.concatenate([q, k, q - k, q * k], axis=-1) @ kernel + bias
    # Each candidate counts the steps of its history.
    counts = np.broadcast_to(PREFIX[:, None], sums.shape[:3])
    return sums[counts]


@pytest.mark.parametrize("candidates", [1, 3])
@pytest.mark.parametrize("outer", [True, False])
def test_dice_in_attention_counts_every_candidate_s_steps(candidates, outer):
    query = draw32("q", BATCH, candidates, 3)
    if outer:
        layer = AttentionSequencePoolingLayer((4,), "dice")
        layer([query, X, LENGTHS], training=True)
        dnn = layer.local_att.dnn
    else:
        layer = LocalActivationUnit((4,), "dice")
        layer([query, X], mask=[None, PREFIX], training=True)
        dnn = layer.dnn
    (dice,) = dnn.activation_layers
    kernel, bias = (
        to_numpy(w).astype("float64") for w in (dnn.kernels[0], dnn.biases[0])
    )
    sums = hidden(query.astype("float64"), kernel, bias)
    assert_close(moving(dice)[0], followed(sums.mean(0), 0.0, 0.99))
    assert_close(moving(dice)[1], followed(sums.var(0), 1.0, 0.99))


@pytest.mark.parametrize("candidates", [1, 3])
@pytest.mark.parametrize("filling", [0.0, np.nan])
def test_empty_histories_in_attention_move_nothing(candidates, filling):
    layer = AttentionSequencePoolingLayer((4, 2), "dice")
    query = draw32("q", BATCH, candidates, 3)
    x = np.full_like(X, filling)
    out = layer([query, x, np.zeros(BATCH, "int32")], training=True)
    np.testing.assert_array_equal(to_numpy(out), 0.0)
    for dice in layer.local_att.dnn.activation_layers:
        mean, variance = moving(dice)
        np.testing.assert_array_equal(mean, 0.0)
        np.testing.assert_array_equal(variance, 1.0)


def test_padding_does_not_reach_the_statistics_of_a_net():
    """`use_bn` and an activation with statistics get the mask."""
    nets = [DNN((4, 2), "dice", use_bn=True, seed=0) for _ in range(2)]
    for net, filling in zip(nets, (0.0, 50.0), strict=True):
        net(fill(filling), mask=MASK, training=True)
    first, second = ([to_numpy(w) for w in n.get_weights()] for n in nets)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
