"""A model saved on one backend gives the same numbers on every other."""

import keras
import numpy as np
import pytest

from tests.layers.catalog import SOME
from tests.layers.models import everything, inputs_of, trials
from tests.saved.make import LAYERS
from tests.support import assert_close, to_numpy

MADE_ON = ("tensorflow", "torch", "jax")


def recorded(backend):
    """The inputs and outputs of the model saved on a backend."""
    found = {"input": {}, "output": {}}
    with np.load(LAYERS / f"{backend}.npz") as arrays:
        for key in arrays.files:
            kind, name = key.split(" ", 1)
            found[kind][name] = arrays[key]
    return found["input"], found["output"]


@pytest.mark.parametrize("backend", MADE_ON)
def test_a_model_saved_on_a_backend_gives_its_numbers(backend):
    model = keras.saving.load_model(LAYERS / f"{backend}.keras")
    inputs, outputs = recorded(backend)
    # When the files were saved, positions were added in padded steps too.
    outputs["position-encoding"] *= inputs["mask"][..., None]
    assert len(outputs) > 20
    inputs = [inputs[symbol.name] for symbol in model.inputs]
    got = model(inputs)
    for name, expected in outputs.items():
        assert_close(to_numpy(got[name]), expected, name=name)
        assert np.ptp(expected[0]) > 0, name


@pytest.mark.once
def test_saves_and_loads(tmp_path):
    """A whole model, and its weights alone."""
    model, inputs = everything(SOME), inputs_of(trials(SOME))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    expected = model(inputs)
    for name, output in loaded(inputs).items():
        np.testing.assert_array_equal(
            to_numpy(output), to_numpy(expected[name]), err_msg=name
        )
    model.save_weights(tmp_path / "model.weights.h5")
    for weight in loaded.weights:
        weight.assign(np.ones(weight.shape))
    loaded.load_weights(tmp_path / "model.weights.h5")
    for got, weight in zip(loaded.weights, model.weights, strict=True):
        np.testing.assert_array_equal(
            to_numpy(got.value), to_numpy(weight.value)
        )
