"""One model in several threads, several models in one process.

docs/serving.md states what works.
"""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest

from tests.models import examples
from tests.models.examples import BY_NAME, STEPS, arrays, inputs_of
from tests.support import once

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
    options = {"att_activation": "dice", "dnn_dropout": 0.3}
    return BY_NAME["DIN"].unknown_steps(**options)


def predict(model, inputs):
    # Keras's predict is not thread-safe on these backends.
    with LOCK if BACKEND in ("jax", "openvino") else contextlib.nullcontext():
        return model.predict(inputs, verbose=0)


@pytest.mark.parametrize("run", [examples.predict, once(predict)])
def test_one_model_in_several_threads(run):
    model = make_model()  # first called in the threads
    # Two numbers of steps, so that the model is traced for both.
    features = [inputs_of(model, arrays(STEPS + i % 2)) for i in range(THREADS)]
    inputs = [
        {name: np.roll(x, i, axis=0) for name, x in features[i].items()}
        for i in range(THREADS)
    ]
    results = run_in_threads(lambda i: run(model, inputs[i]))
    other = make_model()
    for x, got in zip(inputs, results, strict=True):
        np.testing.assert_allclose(got, run(other, x), 1e-5, 1e-6)
