"""Histories of 10,000 steps and a thousand training steps: `-m long`."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from kseq.agreement import probes
from tests.arrays import to_numpy
from tests.gradients import gradients
from tests.layers.catalog import BY_CLASS, Example
from tests.layers.checks import skip_left_out
from tests.models import examples
from tests.reference.masks import mask_of

pytestmark = pytest.mark.long

BACKEND = keras.backend.backend()
COMPILED = BACKEND in ("tensorflow", "jax")  # eager loops take minutes there
SIZES = {"batch": 2, "steps": 10_000, "dim": 4}
TRAINING_STEPS = 1000
TOLERANCE = 2e-5  # sums of 10,000 terms in different orders
LENGTHS = np.array([SIZES["steps"], 7001], "int32")
VALID = mask_of(np.empty((2, SIZES["steps"])), lengths=LENGTHS)
LAYERS = {
    "SequencePoolingLayer": {"mode": "mean"},
    "AttentionSequencePoolingLayer": {
        "att_hidden_units": (5, 4),
        "weight_normalization": True,
    },
    "DynamicGRU": {"num_units": 3, "gru_type": "AUGRU"},
    "BiLSTM": {"units": 3, "layers": 1, "dropout_rate": 0.0},
}


def assert_close(got, expected):
    distance = np.abs(to_numpy(got).astype("float64") - expected).max()
    assert distance <= TOLERANCE * np.abs(expected).max()


@pytest.mark.parametrize("name", LAYERS)
def test_long_histories(name):
    if BACKEND == "openvino" and name in ("DynamicGRU", "BiLSTM"):
        pytest.skip("OpenVINO unrolls the loop and takes minutes to compile it")
    example = Example(name, BY_CLASS[name], LAYERS[name], SIZES)
    trial = replace(
        example.trial(), lengths={"lengths": LENGTHS}, valid={"steps": VALID}
    )
    layer = trial.built()
    for weight in layer.weights:
        weight.assign(weight * 0.5)
    inputs = [ops.convert_to_tensor(x) for x in trial.inputs]
    output = probes.forward(layer, (inputs,), {}, COMPILED)
    features, weights = keras.tree.map_structure(
        lambda x: to_numpy(x).astype("float64"),
        (dict(trial.features), [w.value for w in layer.weights]),
    )
    assert_close(output, trial.reference(features, trial.valid, weights))

    skip_left_out("gradients")
    ones = [ops.ones_like(output)]
    found = gradients(layer, (inputs,), {}, ones, COMPILED)
    found = keras.tree.flatten(found)
    assert all(np.isfinite(g).all() for g in found)
    assert any((g != 0).any() for g in found)


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
