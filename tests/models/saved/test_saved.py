"""A model saved on one backend predicts the same on every other."""

import json
import zipfile

import keras
import numpy as np
import pytest
from packaging.version import Version

from tests.layers.checks import assert_close
from tests.models.examples import predict
from tests.models.saved.make import NAMES, SAVED

MADE_ON = ("tensorflow", "torch", "jax")


def recorded(backend):
    with np.load(SAVED / f"{backend}.npz") as arrays:
        given = dict(arrays)
    return given, given.pop("output")


def keras_of(path):
    """The version of Keras that saved a file."""
    with zipfile.ZipFile(path) as file:
        return json.loads(file.read("metadata.json"))["keras_version"]


@pytest.mark.parametrize("backend", MADE_ON)
def test_a_model_saved_on_a_backend_predicts_its_numbers(backend):
    path = SAVED / f"{backend}.keras"
    if Version(keras.__version__) < Version(made_by := keras_of(path)):
        pytest.skip(f"Keras's Embedding of {made_by} has an option more")
    model = keras.saving.load_model(path)
    given, expected = recorded(backend)
    assert expected.shape[1] == len(NAMES)
    assert np.all(np.ptp(expected, axis=0) > 0)
    assert_close(predict(model, given), expected)


def test_the_backends_predicted_the_same():
    _, expected = recorded(MADE_ON[0])
    for backend in MADE_ON[1:]:
        assert_close(recorded(backend)[1], expected, name=backend)
