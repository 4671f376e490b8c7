"""DIEN's auxiliary loss at the edges; its formula is in the catalog."""

import keras
import numpy as np
import pytest
from keras import ops

from kseq.agreement.numbers import seed_weights
from kseq.layers.core import AuxiliaryLoss
from tests.layers.catalog import BY_NAME
from tests.support import skip_left_out, to_numpy

pytestmark = pytest.mark.once

TRIAL = BY_NAME["auxiliary-loss"].trial()
SEQUENCES = [*TRIAL.features.values()]
LENGTHS = TRIAL.lengths["lengths"]


def built(**options):
    layer = AuxiliaryLoss(hidden_units=(4,), **options)
    layer.build(*(x.shape for x in SEQUENCES))
    seed_weights(layer)
    return layer


def loss_of(layer, **kwargs):
    layer(*SEQUENCES, **kwargs)
    return to_numpy(layer.losses[0])


@pytest.mark.parametrize("lengths", [[0, 0, 0, 0], [1, 0, 1, 1]])
def test_the_loss_without_pairs_is_0(lengths):
    assert loss_of(built(), lengths=np.array(lengths)) == 0.0


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_is_summed_in_float32(policy):
    layer = built(dtype=policy)
    layer(*SEQUENCES, lengths=LENGTHS)
    (loss,) = layer.losses
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    expected = loss_of(built(), lengths=LENGTHS)
    assert abs(to_numpy(loss) - expected) <= 0.02 * expected


def test_the_loss_alone_trains():
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


def test_a_confident_mistake_is_finite():
    """DeepCTR takes the logarithm of a probability that rounds to 0."""
    layer = built()
    layer.dnn.biases[1].assign([500.0])
    assert 450.0 < loss_of(layer) < 550.0
