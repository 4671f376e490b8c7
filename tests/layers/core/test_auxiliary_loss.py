"""DIEN's auxiliary loss, by its formula and at the edges."""

import keras
import numpy as np
import pytest
from keras import ops

from kseq.agreement.numbers import seed_weights
from kseq.layers.core import AuxiliaryLoss
from tests.arrays import to_numpy
from tests.layers.catalog import draw32
from tests.layers.checks import assert_close, skip_left_out

STATES, CLICKS, NEGATIVES = (
    draw32("s", 4, 5, 2),
    draw32("c", 4, 5, 3),
    draw32("n", 4, 5, 3),
)
LENGTHS = np.array([5, 3, 1, 0], "int32")
PREFIX = np.arange(5) < LENGTHS[:, None]
SEQUENCES = [STATES, CLICKS, NEGATIVES]


def built(**options):
    layer = AuxiliaryLoss(hidden_units=(4,), **options)
    layer.build(*(x.shape for x in SEQUENCES))
    seed_weights(layer)
    return layer


def loss_of(layer, sequences=SEQUENCES, lengths=LENGTHS):
    states = layer([*sequences, lengths])
    (loss,) = layer.losses
    np.testing.assert_array_equal(to_numpy(states), sequences[0])
    return to_numpy(loss)


def reference(layer, lengths=LENGTHS, alpha=1.0, mask=None):
    """Of prefixes, or of the mask's steps."""
    if mask is None:
        mask = np.arange(STATES.shape[1]) < np.asarray(lengths)[:, None]
    kernels, biases = (
        [to_numpy(w.value).astype("float64") for w in ws]
        for ws in (layer.dnn.kernels, layer.dnn.biases)
    )

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    def probability(state, candidate):
        x = np.concatenate([state, candidate]).astype("float64")
        hidden = sigmoid(x @ kernels[0] + biases[0])
        return sigmoid(hidden @ kernels[1] + biases[1])[0]

    each = [
        -np.log(probability(STATES[b, t], CLICKS[b, t + 1]))
        - np.log(1 - probability(STATES[b, t], NEGATIVES[b, t + 1]))
        for b, t in zip(*np.nonzero(mask[:, :-1] & mask[:, 1:]), strict=True)
    ]
    return alpha * np.mean(each)


@pytest.mark.parametrize("alpha", [1.0, 0.25])
@pytest.mark.parametrize("lengths", [LENGTHS, np.array([5, 5, 5, 5])])
def test_follows_its_formula(alpha, lengths):
    layer = built(alpha=alpha)
    assert_close(
        loss_of(layer, lengths=lengths), reference(layer, lengths, alpha)
    )


def test_without_lengths_every_step_counts():
    layer = built()
    layer(SEQUENCES)
    assert_close(to_numpy(layer.losses[0]), reference(layer, [5] * 4))


# Steps 1 and 2, 3 and 4; 0 and 1; none beside another; all.
HOLES = np.array(
    [[0, 1, 1, 1, 0], [1, 1, 0, 0, 1], [1, 0, 1, 0, 1], [1] * 5], "bool"
)


@pytest.mark.parametrize(
    "mask", [HOLES, [HOLES, None, None], [HOLES, ~HOLES, None]]
)
def test_a_mask_of_the_states_says_which_steps_count(mask):
    layer = built()
    layer(SEQUENCES, mask=mask)
    assert_close(to_numpy(layer.losses[0]), reference(layer, mask=HOLES))


def test_steps_count_that_mask_and_lengths_count():
    layer = built()
    layer([*SEQUENCES, LENGTHS], mask=HOLES)
    assert_close(
        to_numpy(layer.losses[0]), reference(layer, mask=HOLES & PREFIX)
    )


def test_the_mask_of_an_embedding_is_taken():
    ids = np.where(PREFIX, 1, 0)
    states = keras.layers.Embedding(2, 2, mask_zero=True)(ids)
    layer = built()
    layer([states, CLICKS, NEGATIVES])
    without = to_numpy(layer.losses[0])
    layer([states, CLICKS, NEGATIVES, LENGTHS])
    assert_close(without, to_numpy(layer.losses[0]))


@pytest.mark.parametrize("lengths", [[0, 0, 0, 0], [1, 0, 1, 1]])
def test_the_loss_of_nothing_is_0(lengths):
    assert loss_of(built(), lengths=np.array(lengths)) == 0.0


def test_sure_and_wrong_is_finite():
    """DeepCTR takes the logarithm of a probability that rounds to 0."""
    layer = built()
    layer.dnn.biases[1].assign([500.0])
    loss = loss_of(layer, lengths=np.array([5, 5, 5, 5]))
    assert 450.0 < loss < 550.0


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_is_summed_in_float32(policy):
    layer = built(dtype=policy)
    layer([*SEQUENCES, LENGTHS])
    (loss,) = layer.losses
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    expected = reference(layer)
    assert abs(to_numpy(loss) - expected) <= 0.02 * expected


def test_it_trains():
    skip_left_out("fit")
    inputs = [keras.Input(x.shape[1:]) for x in SEQUENCES]
    states = AuxiliaryLoss(hidden_units=(4,))(inputs)
    model = keras.Model(inputs, ops.sum(states, axis=(1, 2)))
    before = [to_numpy(w).copy() for w in model.get_weights()]
    model.compile("adam")
    model.fit(SEQUENCES, np.zeros(4), verbose=0)
    assert len(before) == 4
    for old, new in zip(before, model.get_weights(), strict=True):
        assert np.all(old != new)
