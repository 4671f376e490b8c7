"""A model saved on one backend predicts the same on every other."""

import json
import zipfile

import keras
import numpy as np
import pytest
from packaging.version import Version

from tests.models.examples import BY_NAME, predict
from tests.saved.make import MODELS, NAMES, QUANTISED, train
from tests.support import assert_close, skip_left_out

each_backend = pytest.mark.parametrize(
    "backend", ["tensorflow", "torch", "jax"]
)


def load_file(path):
    with zipfile.ZipFile(path) as file:
        saved_by = json.loads(file.read("metadata.json"))["keras_version"]
    if Version(keras.__version__) < Version(saved_by):
        pytest.skip(f"Keras's Embedding of {saved_by} has another option")
    return keras.saving.load_model(path)


def load(backend, name=""):
    """A saved model, and the arrays of its backend."""
    path = MODELS / f"{backend}{name}.keras"
    return load_file(path), dict(np.load(MODELS / f"{backend}.npz"))


@each_backend
def test_a_model_saved_on_another_backend_predicts_the_same(backend):
    model, given = load(backend)
    expected = given["output"]
    assert expected.shape[1] == len(NAMES)
    assert np.all(np.ptp(expected, axis=0) > 0)
    assert_close(predict(model, given), expected)


@each_backend
def test_training_goes_on_on_another_backend(backend):
    """With the state of the optimizer."""
    skip_left_out("fit")
    model, given = load(backend, "_trained")
    assert_close(predict(model), given["trained"])
    train(model)
    assert_close(predict(model), given["trained_further"])
    assert np.abs(given["trained_further"] - given["trained"]).max() > 1e-3


# Keras's NumPy backend warns that a quantised Dense has no gradient there.
@pytest.mark.filterwarnings("ignore:(?s).*custom_gradient:UserWarning")
def test_a_model_quantised_on_another_backend_predicts_the_same():
    given = dict(np.load(QUANTISED.with_suffix(".npz")))
    assert_close(predict(load_file(QUANTISED), given), given["output"])


OPTIMIZERS = [
    name
    for name, cls in vars(keras.optimizers).items()
    if isinstance(cls, type)
    and issubclass(cls, keras.optimizers.Optimizer)
    and name not in ("Optimizer", "LossScaleOptimizer", "MultiOptimizer")
]


@pytest.fixture(scope="module")
def pair():
    return [BY_NAME["DIN"].make() for _ in range(2)]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_no_file_names_a_class_of_one_backend(name, pair):
    cls = getattr(keras.optimizers, name)
    inner = cls(keras.optimizers.schedules.CosineDecay(0.1, 10))
    model, again = pair
    for optimizer in (inner, keras.optimizers.LossScaleOptimizer(inner)):
        model.compile(optimizer, "binary_crossentropy", jit_compile=False)
        config = model.get_compile_config()
        assert ".backend." not in json.dumps(config)
        assert config["jit_compile"] == "auto"
        again.compile_from_config(config)
        assert type(again.optimizer) is type(optimizer)
        assert again.optimizer.get_config() == optimizer.get_config()
