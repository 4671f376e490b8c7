"""Histories of 10,000 steps and a thousand training steps: `-m long`."""

from pathlib import Path

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
    SequencePoolingLayer,
)
from kseq.ops import multi_head_attention
from tests.arrays import to_numpy
from tests.layers.checks import skip_left_out
from tests.models import examples
from tests.reference import attention, pooling, recurrence, transformer
from tests.reference.masks import mask_of, softmax

pytestmark = pytest.mark.long

BACKEND = keras.backend.backend()
COMPILED = BACKEND in ("tensorflow", "jax")  # eager loops take minutes there
STEPS, DIM, TRAINING_STEPS = 10_000, 4, 1000
TOLERANCE = 2e-5  # sums of 10,000 terms in different orders
rng = np.random.default_rng(3)
X = rng.normal(size=(2, STEPS, DIM)).astype("float32")
X64 = X.astype("float64")
LENGTHS = np.array([STEPS, 7001], "int32")
VALID = mask_of(X, lengths=LENGTHS)
QUERY = rng.normal(size=(2, 1, DIM)).astype("float32")
SCORES = rng.random((2, STEPS, 1)).astype("float32")

LAYERS = {
    "mean": (
        lambda: SequencePoolingLayer("mean"),
        [X, LENGTHS],
        lambda weights: pooling.pool(X64, VALID, "mean"),
    ),
    "attention": (
        lambda: AttentionSequencePoolingLayer(
            (5, 4), weight_normalization=True
        ),
        [QUERY, X, LENGTHS],
        lambda weights: attention.attention_pooling(
            *(QUERY.astype("float64"), X64, VALID, weights, True),
            activation="sigmoid",
        )[0],
    ),
    "augru": (
        lambda: DynamicGRU(3, "AUGRU"),
        [X, LENGTHS, SCORES],
        lambda weights: recurrence.gru(
            *(X64, VALID, weights, SCORES[..., 0].astype("float64"), "AUGRU")
        )[0],
    ),
    "bilstm": (
        lambda: BiLSTM(3, layers=1, dropout_rate=0.0),
        [X, LENGTHS],
        lambda weights: recurrence.bilstm(X64, VALID, weights, 1),
    ),
}


def assert_close(got, expected):
    distance = np.abs(to_numpy(got).astype("float64") - expected).max()
    assert distance <= TOLERANCE * np.abs(expected).max()


@pytest.mark.parametrize("name", LAYERS)
def test_long_histories(name):
    if BACKEND == "openvino" and name in ("augru", "bilstm"):
        pytest.skip("OpenVINO unrolls the loop and takes minutes to compile it")
    make, inputs, reference = LAYERS[name]
    layer = make()
    layer.build_from_config({"input_shape": [x.shape for x in inputs]})
    seed_weights(layer)
    for weight in layer.weights:
        weight.assign(weight * 0.5)
    weights = [to_numpy(w.value).astype("float64") for w in layer.weights]
    inputs = [ops.convert_to_tensor(x) for x in inputs]
    outputs = probes.forward(layer, inputs, {}, COMPILED)
    assert_close(outputs[0], reference(weights))

    skip_left_out("gradients")
    ones = [ops.ones_like(y) for y in outputs]
    gradients = probes.gradients(layer, inputs, {}, ones, COMPILED)
    gradients = [to_numpy(g) for g in keras.tree.flatten(gradients)]
    assert all(np.isfinite(g).all() for g in gradients)
    assert any((g != 0).any() for g in gradients)


def test_multi_head_attention_of_long_histories():
    x = X[:, None]
    got = multi_head_attention(x, x, x, VALID)
    some = slice(None, None, 997)  # all scores would take 800 MB
    scores = transformer.scores(X64[:, some], X64, "scaled_dot_product", [])
    expected = softmax(scores, VALID[:, None]) @ X64
    assert_close(got[:, 0, some], expected)


class TraceCounter(keras.layers.Layer):
    """Count calls: one a trace where the backend traces."""

    calls = 0

    def call(self, x):
        self.calls += 1
        return x


def resident_bytes():
    return 4096 * int(Path("/proc/self/statm").read_text().split()[1])


@pytest.mark.parametrize("name", ["DIN", "DIEN-GRU", "DSIN", "BST"])
def test_training_neither_leaks_memory_nor_retraces(name):
    skip_left_out("fit")
    model = examples.BY_NAME[name].unknown_steps()
    counter = TraceCounter()
    model = keras.Model(model.inputs, counter(model.output))
    model.compile("adam", "mse")
    warm = TRAINING_STEPS * 3 // 10  # caches are filled by then
    memory, calls = [], []

    def batches():
        while True:
            for steps in (5, 9, 4, 7):
                x = examples.inputs_of(model, examples.arrays(steps))
                yield x, np.ones((examples.BATCH, 1), "float32")

    def observe(batch, logs):
        if batch >= warm:
            memory.append(resident_bytes())
            calls.append(counter.calls)

    model.fit(
        batches(),
        steps_per_epoch=TRAINING_STEPS,
        shuffle=False,
        verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=observe)],
    )
    growth = np.polyfit(np.arange(len(memory)), memory, 1)[0]
    print(f"{name}: {growth:.0f} bytes per step")
    assert growth < 4000  # the tensors of a batch take at least 10,000
    if BACKEND != "torch":  # which does not trace
        assert calls[0] == calls[-1]
