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


@pytest.mark.parametrize("backend", ["tensorflow", "torch", "jax"])
def test_a_model_saved_on_another_backend_predicts_the_same(backend):
    path = SAVED / f"{backend}.keras"
    with zipfile.ZipFile(path) as file:
        saved_by = json.loads(file.read("metadata.json"))["keras_version"]
    if Version(keras.__version__) < Version(saved_by):
        pytest.skip(f"Keras's Embedding of {saved_by} has another option")
    with np.load(path.with_suffix(".npz")) as arrays:
        given = dict(arrays)
    expected = given.pop("output")
    assert expected.shape[1] == len(NAMES)
    assert np.all(np.ptp(expected, axis=0) > 0)
    model = keras.saving.load_model(path)
    assert_close(predict(model, given), expected)
