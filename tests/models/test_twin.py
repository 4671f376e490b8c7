"""What a plain Keras model of the same layers takes, a model of kseq takes."""

import copy
import pickle

import keras
import numpy as np
import pytest

from tests.arrays import to_numpy
from tests.layers.checks import assert_close, skip_left_out
from tests.models.examples import BY_NAME, CLICKS, arrays, inputs_of, predict

MODELS = [BY_NAME[n] for n in ("DIN", "DIEN-AUGRU-negatives", "DSIN", "BST")]
each_model = pytest.mark.parametrize("example", MODELS, ids=lambda e: e.name)

FORMS = {
    "dict": dict,
    "dict in another order": lambda x: dict(reversed(x.items())),
    "dict with more": lambda x: {**x, "more": x["item"]},
    "list": lambda x: [*x.values()],
    "tuple": lambda x: tuple(x.values()),
}
each_form = pytest.mark.parametrize("form", FORMS)


def twin_of(model):
    """A Keras model of the same layers and weights."""
    twin = keras.Model(model.inputs, model.output)
    assert type(twin) is not type(model)
    return twin


def both():
    """A model and the twin of another one with the same weights.

    Without a penalty, which the twin adds once in each call of a table.
    """
    model, other = (BY_NAME["DIN"].make(l2_reg_embedding=0) for _ in range(2))
    models = model, twin_of(other)
    for model in models:
        # Keras's own compilation would take most of the time.
        model.compile(
            "sgd",
            "binary_crossentropy",
            metrics=["mae"],
            run_eagerly=True,
        )
    return models


def assert_equal_results(function):
    """Apply a function to a model and its twin; compare what it returns."""
    model, twin = both()
    got, expected = function(model), function(twin)
    for one, other in zip(
        keras.tree.flatten(got), keras.tree.flatten(expected), strict=True
    ):
        assert_close(to_numpy(one), to_numpy(other))
    for one, other in zip(model.weights, twin.weights, strict=True):
        assert_close(to_numpy(one.value), to_numpy(other.value))


@pytest.fixture(scope="module")
def models():
    return {example.name: example.make() for example in MODELS}


@each_form
def test_predictions(models, form):
    model = models["DIN"]
    twin = twin_of(model)
    x = FORMS[form](inputs_of(model))
    assert_close(model.predict(x, verbose=0), twin.predict(x, verbose=0))
    assert_close(
        to_numpy(model.predict_on_batch(x)), to_numpy(twin.predict_on_batch(x))
    )
    tensors = keras.tree.map_structure(keras.ops.convert_to_tensor, x)
    assert_close(to_numpy(model(tensors)), to_numpy(twin(tensors)))


@each_model
def test_symbolic_inputs(models, example):
    """A model inside a model."""
    model = models[example.name]
    symbols = {
        x.name: keras.Input(x.shape[1:], dtype=x.dtype, name=x.name)
        for x in model.inputs
    }
    outputs = {form: model(FORMS[form](symbols)) for form in FORMS}
    outer = keras.Model(symbols, outputs)
    for form, output in outer(inputs_of(model)).items():
        assert_close(to_numpy(output), predict(model), name=form)


WEIGHTS = np.arange(len(CLICKS)) / 2
TARGETS = {
    "column": {"y": CLICKS[:, None]},
    "row": {"y": CLICKS},
    "list": {"y": [CLICKS[:, None]]},
    "sample weights": {"y": CLICKS[:, None], "sample_weight": WEIGHTS},
    "class weights": {"y": CLICKS[:, None], "class_weight": {0: 0.5, 1: 2.0}},
}


@pytest.mark.parametrize("targets", TARGETS)
def test_training(targets):
    skip_left_out("fit")
    options = TARGETS[targets]

    def train(model):
        x = inputs_of(model)
        found = [model.train_on_batch(x, **options)]
        found.append(model.fit(x, **options, verbose=0).history)
        if targets != "class weights":
            found.append(model.evaluate(x, **options, verbose=0))
        return found

    assert_equal_results(train)


def test_validation_data():
    skip_left_out("fit")

    def train(model):
        x = inputs_of(model)
        # By position, as Keras's signature has it.
        return model.fit(
            x, CLICKS, 5, 1, 0, None, 0.0, (x, CLICKS[:, None]), False
        ).history

    assert_equal_results(train)


class Rows(keras.utils.PyDataset):
    def __init__(self, features):
        super().__init__()
        self.features = features

    def __len__(self):
        return 2

    def __getitem__(self, i):
        return self.features, np.roll(CLICKS, i)[:, None]


def test_data_sets():
    skip_left_out("fit")

    def train(model):
        rows = Rows(inputs_of(model))
        found = [model.fit(rows, shuffle=False, verbose=0).history]
        return [*found, model.evaluate(rows, verbose=0)]

    assert_equal_results(train)


def cloned(model):
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    return clone


def restored(model):
    again = type(model).from_config(model.get_config())
    again.set_weights(model.get_weights())
    return again


def with_same_layers(model):
    return keras.models.clone_model(model, clone_function=lambda layer: layer)


COPIES = {
    "clone_model": cloned,
    "clone_model with functions": with_same_layers,
    "from_config": restored,
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
}


@pytest.mark.parametrize("make", COPIES)
@each_model
def test_copies(models, example, make):
    """A copy takes what the model takes, a list of all features too."""
    model = models[example.name]
    again = COPIES[make](model)
    assert type(again) is type(model)
    x = inputs_of(model)
    for form in (dict, list):
        assert_close(to_numpy(again(FORMS[form.__name__](x))), predict(model))


@each_model
def test_submodels(models, example):
    """Between any two tensors of a model."""
    model = models[example.name]
    hidden = keras.Model(
        model.inputs, [model.output, model.get_layer("dnn").output]
    )
    _, expected = hidden(inputs_of(model))
    head = keras.Model(model.get_layer("dnn").output, model.output)
    assert_close(to_numpy(head(expected)), predict(model))


def test_all_features_are_inputs(models):
    model = models["DIN"]
    assert "seq_length" in [x.name for x in model.inputs]
    changed = {**arrays(), "seq_length": np.zeros(len(CLICKS))}
    np.testing.assert_array_equal(predict(model, changed), predict(model))
