"""Long histories, deep stacks and many steps of training: `-m long`."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from kseq.agreement import probes
from kseq.agreement.numbers import seed_weights
from kseq.layers import (
    AttentionSequencePoolingLayer,
    BiLSTM,
    DynamicGRU,
    KMaxPooling,
    SequencePoolingLayer,
    Transformer,
    WeightedSequenceLayer,
)
from kseq.ops import multi_head_attention
from tests.arrays import to_numpy
from tests.layers.checks import skip_left_out
from tests.reference import attention as ref_attention
from tests.reference import pooling as ref_pooling
from tests.reference import recurrence as ref_recurrence
from tests.reference import transformer as ref_transformer
from tests.reference.masks import mask_of, softmax

pytestmark = pytest.mark.long

BACKEND = keras.backend.backend()
# Ten thousand steps, one operation after the other, take minutes; and so does
# to compile thirty layers.
COMPILED = BACKEND in ("tensorflow", "jax")
not_unrolled = pytest.mark.skipif(
    BACKEND == "openvino",
    reason="a graph of 10,000 steps takes OpenVINO more than five minutes",
)
STEPS, DIM, DEPTH = 10_000, 4, 30
MANY_STEPS = "tests.reliability.many_steps"
# Ten thousand terms in another order, or thirty layers of rounding.
NEAR = 2e-5
RNG = np.random.default_rng(3)
X = RNG.normal(size=(2, STEPS, DIM)).astype("float32")
LENGTHS = np.array([STEPS, 7001], "int32")
VALID = mask_of(X, lengths=LENGTHS)
QUERY = RNG.normal(size=(2, 1, DIM)).astype("float32")
WEIGHTS = RNG.normal(size=(2, STEPS, 1)).astype("float32")
SCORES = RNG.random((2, STEPS, 1)).astype("float32")


def assert_close(got, expected):
    got = to_numpy(got)
    assert got.shape == expected.shape
    distance = np.abs(got.astype("float64") - expected).max()
    assert distance <= NEAR * np.abs(expected).max()


def outputs(layer, inputs, compiled):
    inputs = keras.tree.map_structure(ops.convert_to_tensor, inputs)
    return probes.forward(layer, inputs, {}, compiled)


def with_weights(layer, inputs, factor=1.0, compiled=COMPILED):
    """A layer's output, and its weights in float64."""
    layer.build(keras.tree.map_structure(np.shape, inputs))
    seed_weights(layer)
    for weight in layer.weights:
        weight.assign(weight * factor)
    weights = [to_numpy(w.value).astype("float64") for w in layer.weights]
    return outputs(layer, inputs, compiled)[0], weights


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_pools_long_histories(mode):
    got = SequencePoolingLayer(mode)([X, LENGTHS])
    assert_close(got, ref_pooling.pool(X.astype("float64"), VALID, mode))


def test_weighs_long_histories():
    got = WeightedSequenceLayer()([X, LENGTHS, WEIGHTS])
    expected = ref_pooling.weighted(
        X.astype("float64"), WEIGHTS.astype("float64"), VALID, True
    )
    assert_close(got, expected)


def test_finds_the_largest_of_long_histories():
    got = KMaxPooling(5)([X, LENGTHS])
    assert_close(got, ref_pooling.k_max(X.astype("float64"), 5, 1, VALID))


@pytest.mark.parametrize("normalize", [True, False])
def test_attends_to_long_histories(normalize):
    layer = AttentionSequencePoolingLayer(
        (5, 4), weight_normalization=normalize
    )
    got, weights = with_weights(layer, [QUERY, X, LENGTHS])
    expected, _ = ref_attention.attention_pooling(
        QUERY.astype("float64"),
        X.astype("float64"),
        VALID,
        weights,
        normalize,
        activation="sigmoid",
    )
    assert_close(got, expected)


@not_unrolled
def test_runs_through_long_histories():
    got, weights = with_weights(
        DynamicGRU(3, "AUGRU"), [X, LENGTHS, SCORES], 0.5
    )
    expected, _ = ref_recurrence.gru(
        X.astype("float64"),
        VALID,
        weights,
        SCORES[..., 0].astype("float64"),
        "AUGRU",
    )
    assert_close(got, expected)


@not_unrolled
def test_runs_both_ways_through_long_histories():
    layer = BiLSTM(3, layers=1, dropout_rate=0.0)
    got, weights = with_weights(layer, [X, LENGTHS], 0.5)
    expected = ref_recurrence.bilstm(X.astype("float64"), VALID, weights, 1)
    assert_close(got, expected)


def test_looks_from_each_step_of_a_long_history_at_all():
    x = X[:, None]
    got = multi_head_attention(x, x, x, VALID)
    some = slice(None, None, 997)  # all scores would be 800 MB
    q, k = x[:, 0, some].astype("float64"), x[:, 0].astype("float64")
    scores = ref_transformer.scores(q, k, "scaled_dot_product", [])
    expected = softmax(scores, VALID[:, None]) @ k
    assert_close(got[:, 0, some], expected)


def gradients(layer, inputs, compiled=COMPILED):
    """All of them, as arrays."""
    inputs = keras.tree.map_structure(ops.convert_to_tensor, inputs)
    ones = [ops.ones_like(y) for y in outputs(layer, inputs, compiled)]
    found = probes.gradients(layer, inputs, {}, ones, compiled)
    return [to_numpy(g) for g in keras.tree.flatten(found)]


LONG = {
    "mean": (lambda: SequencePoolingLayer("mean"), [X, LENGTHS]),
    "attention": (
        lambda: AttentionSequencePoolingLayer(
            (5, 4), weight_normalization=True
        ),
        [QUERY, X, LENGTHS],
    ),
    "augru": (lambda: DynamicGRU(3, "AUGRU"), [X, LENGTHS, SCORES]),
    "bilstm": (lambda: BiLSTM(3, dropout_rate=0.0), [X, LENGTHS]),
    "transformer": (
        lambda: Transformer(2, 2, use_positional_encoding=False),
        [X, X, LENGTHS, LENGTHS],
    ),
}


@pytest.mark.parametrize("name", LONG)
def test_gradients_of_long_histories_are_finite(name):
    skip_left_out("gradients")
    make, inputs = LONG[name]
    layer = make()
    layer.build(keras.tree.map_structure(np.shape, inputs))
    found = gradients(layer, inputs)
    assert all(np.isfinite(g).all() for g in found)
    assert any((g != 0).any() for g in found)


SHORT = RNG.normal(size=(3, 6, DIM)).astype("float32")
SHORT_LENGTHS = np.array([6, 2, 0], "int32")
SHORT_VALID = mask_of(SHORT, lengths=SHORT_LENGTHS)
BLOCK = {"use_positional_encoding": False, "use_layer_norm": True}


class Stack(keras.layers.Layer):
    """Layers, each of which is given what the one before gave."""

    def __init__(self, layers):
        super().__init__()
        self.stacked = layers

    def build(self, shapes):
        for layer in self.stacked:
            layer.build(self.of(*shapes, layer))

    def of(self, x, lengths, layer):
        twice = isinstance(layer, Transformer)
        return [x, x, lengths, lengths] if twice else [x, lengths]

    def call(self, inputs):
        x, lengths = inputs
        for layer in self.stacked:
            x = layer(self.of(x, lengths, layer))
        return x


def gru_stack():
    return Stack([DynamicGRU(DIM) for _ in range(DEPTH)])


def block_stack():
    return Stack(
        [Transformer(2, 2, output_type=None, **BLOCK) for _ in range(DEPTH)]
    )


def deep_gru(x, weights):
    for i in range(DEPTH):
        x, _ = ref_recurrence.gru(x, SHORT_VALID, weights[4 * i : 4 * i + 4])
    return x


def deep_blocks(x, weights):
    each = len(weights) // DEPTH
    for i in range(DEPTH):
        x = ref_transformer.transformer(
            x,
            x,
            SHORT_VALID,
            SHORT_VALID,
            weights[each * i : each * (i + 1)],
            2,
            normalized=True,
            output=None,
        )
    return x


DEEP = {
    "gru": (gru_stack, deep_gru),
    "transformer": (block_stack, deep_blocks),
    "bilstm": (
        lambda: BiLSTM(DIM, layers=DEPTH, res_layers=DEPTH, dropout_rate=0.0),
        lambda x, weights: ref_recurrence.bilstm(
            x, SHORT_VALID, weights, DEPTH, DEPTH
        ),
    ),
}


@pytest.mark.parametrize("name", DEEP)
def test_thirty_layers_deep(name):
    make, reference = DEEP[name]
    inputs = [SHORT, SHORT_LENGTHS]
    got, weights = with_weights(make(), inputs, 0.5, compiled=False)
    assert_close(got, reference(SHORT.astype("float64"), weights))


@pytest.mark.parametrize("name", DEEP)
def test_gradients_thirty_layers_deep_are_finite(name):
    skip_left_out("gradients")
    make, _ = DEEP[name]
    layer, inputs = make(), [SHORT, SHORT_LENGTHS]
    with_weights(layer, inputs, 0.5, compiled=False)
    found = gradients(layer, inputs, compiled=False)
    assert all(np.isfinite(g).all() for g in found)
    assert any((g != 0).any() for g in found)


@pytest.mark.parametrize("model", ["layers", "DIN", "DIEN-GRU", "DSIN", "BST"])
def test_a_thousand_steps_grow_nothing(model):
    skip_left_out("fit")
    done = subprocess.run(
        [sys.executable, "-m", MANY_STEPS, "--model", model],
        env=os.environ | {"KERAS_BACKEND": BACKEND},
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    print(report)
    # An allocator's noise; a batch's tensors are 10 kB and more.
    assert report["growth, bytes a step"] < 4000
    assert report["objects more"] < 100
    if BACKEND != "torch":  # which calls at every step
        assert report["calls more"] == 0
