"""One model in several threads, several models in one process.

docs/serving.md states what works.
"""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest

from kseq.agreement.numbers import seed_weights
from kseq.layers.core import DNN
from kseq.layers.sequence import AttentionSequencePoolingLayer
from tests.support import once, to_numpy

BACKEND = keras.backend.backend()
THREADS = 4
LOCK = threading.Lock()


def run_in_threads(function):
    """Call function(0), ..., function(3) at the same time."""
    barrier = threading.Barrier(THREADS)

    def start(i):
        barrier.wait()
        return function(i)

    with ThreadPoolExecutor(THREADS) as pool:
        return [*pool.map(start, range(THREADS))]


def make_model():
    query, x = keras.Input((1, 4)), keras.Input((None, 4))
    lengths = keras.Input((1,), dtype="int32")
    layer = AttentionSequencePoolingLayer((4,), "dice")
    y = layer([query, x, lengths])
    y = DNN((3,), dropout_rate=0.3, seed=1)(y)
    model = keras.Model([query, x, lengths], y)
    seed_weights(model)
    return model


def make_inputs(i):
    """Two numbers of steps, so that the model is traced for both."""
    rng = np.random.default_rng(i)
    steps = (5, 3)[i % 2]
    return [
        rng.normal(size=(4, 1, 4)).astype("float32"),
        rng.normal(size=(4, steps, 4)).astype("float32"),
        rng.integers(0, steps + 1, (4, 1)).astype("int32"),
    ]


def call(model, inputs):
    return to_numpy(model(inputs))


def predict(model, inputs):
    # Keras's predict is not thread-safe on these backends.
    with LOCK if BACKEND in ("jax", "openvino") else contextlib.nullcontext():
        return model.predict(inputs, verbose=0)


@pytest.mark.parametrize("run", [call, once(predict)])
def test_one_model_in_several_threads(run):
    model = make_model()  # first called in the threads
    inputs = [make_inputs(i) for i in range(THREADS)]
    results = run_in_threads(lambda i: run(model, inputs[i]))
    other = make_model()
    for x, got in zip(inputs, results, strict=True):
        np.testing.assert_allclose(got, run(other, x), 1e-5, 1e-6)
