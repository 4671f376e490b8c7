"""Computations on which all backends agree, though it is not obvious.

With `pytest --agreement=tensorflow,torch,jax` they are compared between the
backends; without, with the compiled call and with the layer's config.
"""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kseq.agreement import Agreement, Computation, measure
from kseq.agreement.tables import left_out

pytestmark = pytest.mark.skipif(
    left_out(keras.backend.backend(), "gradients", "float32") is not None,
    reason="the backend has no gradients",
)
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(4, 6, 3))


def draw(*shape):
    return RANDOM.normal(size=shape)


def standardize(x):
    return (x - ops.mean(x)) / (ops.std(x) + 1e-7)


def specials(x):
    return ops.log(x), 1 / x, ops.where(x > 0, np.nan, -np.inf)


def nearly_zero(x):
    return ops.sum(x, axis=-1) - ops.sum(ops.flip(x, -1), axis=-1)


def swap(x):
    return {"b": x["a"], "a": [x["b"], (x["a"],)]}


def classifier():
    parts = layers.Dense(5), layers.BatchNormalization(), layers.Softmax()
    return keras.Sequential([keras.Input((6, 3)), *parts])


# Each with the arguments of `agreement`.
ALIKE = {
    "NaN and infinity": (specials, np.array([-1.0, 0.0, 1.0, np.inf, np.nan])),
    "normalization of x + 1000": (layers.LayerNormalization(), X + 1000),
    "a constant, standardized": (standardize, np.full((50,), 0.3)),
    "nearly zero": (nearly_zero, draw(3, 100)),
    "Dense of 4096": (layers.Dense(2), draw(2, 4096)),
    "mean of 100000": (ops.mean, draw(100_000) + 10),
    "inverse": (
        ops.inv,
        1 / (1 + np.add.outer(np.arange(5.0), np.arange(5.0))),
    ),
    "logsumexp": (ops.logsumexp, X * 100),
    "stateful": (layers.GRU(3, stateful=True), X),
    "top_k": (ops.top_k, X, 2),
    "integers": (ops.add, np.arange(3), np.array([1, 2, 3])),
    "0-d": (ops.multiply, np.array(2.5), np.float64(3.0)),
    "no elements": (ops.square, np.zeros((0, 3))),
    "positional arguments": (layers.MultiHeadAttention(2, 3), X, draw(4, 5, 3)),
    "dicts": (swap, {"a": X, "b": X[0]}),
    "complex": (ops.fft, (X[0], X[1])),
    "a loss": (keras.losses.MeanSquaredError(), X, draw(4, 6, 3)),
}
FITTED = {
    "GRU": (layers.GRU(4), X),
    "batch normalization": (layers.BatchNormalization(), X),
    "embedding": (layers.Embedding(5, 3), np.array([[1, 2], [0, 4]])),
    "steep": (layers.Dense(3, activation="exponential"), X * 2),
}
HALF = {
    "classifier": (classifier(), X),
    "sum of 10000": (ops.sum, draw(10_000)),
}


# Where gradients could differ too. (On PyTorch the new state of "stateful"
# replaces what the backward pass needs.)
GRADIENTS = (
    "normalization of x + 1000",
    "a constant, standardized",
    "logsumexp",
    "top_k",
    "positional arguments",
    "dicts",
)


# False alarms that the scoreboard of Keras (docs/scoreboard) met.
LABELS = np.array([0.0, 1.0, 1.0])
SCOREBOARD = {
    # One rounding more than 1 is no probability.
    "a probability": (ops.binary_crossentropy, LABELS, LABELS / 2 + 0.2),
    # Activations do not promise symbolic calls.
    "an activation": (keras.activations.mish, LABELS),
    # Layers of integers keep their dtype.
    "Discretization": (layers.Discretization([1.0, 2.0]), LABELS),
    # A creation function returns a tensor of the backend.
    "zeros": (ops.zeros, (2,), "int32"),
}
ALIKE |= SCOREBOARD


@pytest.mark.parametrize("name", ALIKE)
def test_backends_agree(name, agreement):
    kinds = "forward gradients" if name in GRADIENTS else "forward"
    agreement(*ALIKE[name], kinds=kinds, dtypes="float32")


@pytest.mark.parametrize("name", FITTED)
def test_training_agrees(name, agreement):
    agreement(*FITTED[name], kinds="training fit", dtypes="float32")


@pytest.mark.parametrize("name", HALF)
def test_half_precision_agrees(name, agreement):
    policies = "bfloat16", "mixed_float16"
    agreement(*HALF[name], dtypes=policies, kinds="forward gradients fit")


def test_random_numbers_are_not_compared(agreement):
    kinds = "forward", "training", "gradients"
    for layer in (layers.Dropout(0.5), layers.GaussianNoise(0.1)):
        agreement(layer, X, kinds=kinds, dtypes="float32")
    alone = Agreement("test")
    alone(layers.Dropout(0.5, seed=1), X, kinds=kinds, dtypes="float32")
    left_out = [e.kind for e in alone.entries if e.left_out]
    assert "training" in left_out
    assert "forward" not in left_out


class Unnamed(layers.Layer):
    def build(self, input_shape):
        self.scale = self.add_weight(shape=(input_shape[-1],))
        self.calls = self.add_weight(shape=(), trainable=False)

    def call(self, x):
        return x * self.scale


@pytest.mark.once
def test_names_of_weights_do_not_depend_on_earlier_computations():
    computation = Computation(Unnamed(), [np.ones((2, 3))])
    for policy in ("float64", "float32"):
        assert measure(computation, policy, "forward")
        gradients = measure(computation, policy, "gradients").values
        assert [*gradients] == ["x", "weight 0 variable"]
