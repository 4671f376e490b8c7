"""How an activation argument becomes a layer."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from kseq.layers.base import serialize
from kseq.layers.core import DNN, Dice
from kseq.layers.core.activation import (
    call_options,
    check_activation,
    create_activation,
)
from kseq.ops import tanh
from tests.arrays import to_numpy

X = np.array([[-2.0, -0.5, 0.0, 0.5, 2.0]], "float32")


def double(x):
    return 2 * x


@keras.saving.register_keras_serializable(package="kseq-tests")
class Slope(keras.layers.Layer):
    """An activation layer with an argument and a weight."""

    def __init__(self, start=3.0, **kwargs):
        super().__init__(**kwargs)
        self.start = start

    def build(self, input_shape):
        self.slope = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(self.start),
            name="slope",
        )

    def call(self, inputs):
        return inputs * ops.convert_to_tensor(self.slope)

    def get_config(self):
        return {**super().get_config(), "start": self.start}


def title(value):
    """A test's id: a function's own text holds an address."""
    if isinstance(value, str):
        return value
    return getattr(value, "__name__", type(value).__name__)


def applied(activation):
    layer = create_activation(check_activation("activation", activation))
    return to_numpy(layer(X))


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        ("relu", np.maximum(X, 0)),
        ("sigmoid", 1 / (1 + np.exp(-X))),
        ("linear", X),
        (None, X),
        ("tanh", np.tanh(X)),
        (double, 2 * X),
        (Slope, 3 * X),
        (Slope(start=5.0), 5 * X),
        # At the start Dice's statistics are 0 and 1, and its alpha 0.
        ("dice", X / (1 + np.exp(-X))),
        ("Dice", X / (1 + np.exp(-X))),
        (Dice, X / (1 + np.exp(-X))),
        (Dice(), X / (1 + np.exp(-X))),
    ],
    ids=title,
)
def test_resolves(activation, expected):
    np.testing.assert_allclose(applied(activation), expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["dice", "Dice"])
def test_dice_by_name_is_our_dice(name):
    assert type(create_activation(name)) is Dice


def test_tanh_by_name_is_the_one_that_keeps_float64():
    assert create_activation("tanh") is tanh


@pytest.mark.parametrize("activation", [Slope, Slope(start=5.0), "dice"])
def test_each_place_gets_a_layer_of_its_own(activation):
    kept = check_activation("activation", activation)
    one, other = create_activation(kept), create_activation(kept)
    assert one is not other
    assert one is not activation
    one.build((None, 5))
    other.build((None, 5))
    assert not {id(w) for w in one.weights} & {id(w) for w in other.weights}


@pytest.mark.parametrize(
    "activation",
    ["dice", Slope, Slope(start=5.0), Dice],
    ids=title,
)
def test_the_layer_has_the_dtype_that_is_asked_for(activation):
    kept = check_activation("activation", activation)
    layer = create_activation(kept, keras.DTypePolicy("mixed_bfloat16"))
    assert layer.dtype_policy.name == "mixed_bfloat16"


@pytest.mark.parametrize(
    "activation",
    [
        "relu",
        "dice",
        None,
        Slope,
        Slope(start=5.0),
        Dice,
        keras.activations.relu,
    ],
    ids=title,
)
def test_what_is_saved_gives_the_same_again(activation):
    kept = check_activation("activation", activation)
    saved = json.loads(json.dumps(serialize(kept)))
    again = check_activation("activation", saved)
    assert serialize(again) == saved
    np.testing.assert_array_equal(
        to_numpy(create_activation(again)(X)),
        to_numpy(create_activation(kept)(X)),
    )


def test_a_layer_that_is_given_is_not_the_one_that_is_used():
    given = Slope()
    net = DNN((4, 3), given)
    net.build((None, 5))
    assert not given.built
    # Its weight once for each hidden layer, beside two kernels and biases.
    assert [w.name for w in net.weights].count("slope") == 2


def test_call_options():
    assert call_options(Dice()) == ["mask", "training"]
    assert call_options(Slope()) == call_options(double) == []
