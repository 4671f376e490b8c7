"""How an activation argument becomes a layer."""

import json

import keras
import numpy as np
import pytest

from kseq.layers.base import serialize
from kseq.layers.core import DNN, Dice
from kseq.layers.core.activation import check_activation, create_activation
from kseq.layers.sequence import AttentionSequencePoolingLayer
from tests.layers.catalog import BY_NAME
from tests.support import to_numpy

pytestmark = pytest.mark.once

X = np.array([[-2.0, -0.5, 0.0, 0.5, 2.0]], "float32")
# At the start Dice's statistics are 0 and 1, and its alpha 0.
DICE = X / (1 + np.exp(-X))


@keras.saving.register_keras_serializable(package="kseq-tests")
def double(x):
    return 2 * x


# An activation, its values of X, and the number of its weights.
ACTIVATIONS = {
    "relu": ("relu", np.maximum(X, 0), 0),
    "None": (None, X, 0),
    "tanh": ("tanh", np.tanh(X), 0),
    "function": (double, 2 * X, 0),
    "keras-function": (keras.activations.relu, np.maximum(X, 0), 0),
    "class": (keras.layers.PReLU, np.maximum(X, 0), 1),
    "layer": (keras.layers.PReLU("ones"), X, 1),
    "dice": ("dice", DICE, 3),
    "Dice": ("Dice", DICE, 3),
    "dice-class": (Dice, DICE, 3),
    "dice-layer": (Dice(epsilon=1e-6), DICE, 3),
}


@pytest.mark.parametrize(
    ("activation", "expected", "weights"), ACTIVATIONS.values(), ids=ACTIVATIONS
)
def test_activations(activation, expected, weights):
    """By their values, and again by a config."""
    kept = check_activation("activation", activation)
    saved = json.loads(json.dumps(serialize(kept)))
    again = check_activation("activation", saved)
    assert serialize(again) == saved
    policy = keras.DTypePolicy("mixed_bfloat16")
    for checked in (kept, again):
        one, other = create_activation(checked), create_activation(checked)
        np.testing.assert_allclose(to_numpy(one(X)), expected, rtol=1e-5)
        if weights:
            other.build(X.shape)
            assert one is not other
            assert one is not activation
            assert not {*map(id, one.weights)} & {*map(id, other.weights)}
            half = create_activation(checked, policy)
            assert half.dtype_policy.name == "mixed_bfloat16"
    trial = BY_NAME["attention-sigmoid"].trial()
    layer = AttentionSequencePoolingLayer((4, 2), activation)
    outputs = trial.run(layer)
    # One activation, kernel and bias for each hidden layer; the scorer's.
    assert len(layer.weights) == 2 * weights + 6
    config = json.loads(json.dumps(layer.get_config()))
    again = AttentionSequencePoolingLayer.from_config(config)
    trial.run(again)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(trial.run(again), outputs)


def test_a_given_layer_is_a_template():
    given = keras.layers.PReLU()
    net = DNN((4, 3), given)
    net.build((None, 5))
    assert not given.built
    # Its weight once for each hidden layer.
    assert [w.name for w in net.weights].count("alpha") == 2
