"""A model saved on one backend predicts the same on every other."""

import keras
import numpy as np
import pytest

from tests.layers.checks import assert_close
from tests.models.examples import predict
from tests.models.saved.make import NAMES, SAVED

MADE_ON = ("tensorflow", "torch", "jax")


def recorded(backend):
    with np.load(SAVED / f"{backend}.npz") as arrays:
        given = dict(arrays)
    return given, given.pop("output")


@pytest.mark.parametrize("backend", MADE_ON)
def test_a_model_saved_on_a_backend_predicts_its_numbers(backend):
    model = keras.saving.load_model(SAVED / f"{backend}.keras")
    given, expected = recorded(backend)
    assert expected.shape[1] == len(NAMES)
    assert np.all(np.ptp(expected, axis=0) > 0)
    assert_close(predict(model, given), expected)


def test_the_backends_predicted_the_same():
    _, expected = recorded(MADE_ON[0])
    for backend in MADE_ON[1:]:
        assert_close(recorded(backend)[1], expected, name=backend)
