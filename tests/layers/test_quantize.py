"""Keras's `model.quantize` beside kseq's layers.

It quantises tables and Dense; kseq's other layers stay as they are.
"""

import keras
import numpy as np
import pytest
from keras import ops
from packaging.version import Version

from kseq.agreement.numbers import seed_weights
from kseq.layers import Embedding
from tests.layers.catalog import SOME
from tests.layers.checks import assert_close
from tests.layers.models import everything, inputs_of, trials
from tests.models.examples import BY_NAME
from tests.models.examples import predict as predict_click
from tests.models.saved.quantised import QUANTISED, quantise

# Keras's NumPy backend warns that a quantised Dense has no gradient there.
pytestmark = pytest.mark.filterwarnings(
    "ignore:(?s).*custom_gradient:UserWarning"
)
# How far an output may move, in units of its largest value.
MOVES = {"int8": 0.02, "int4": 0.3, "float8": 0.1}
IDS = 9
ONE_OF_EACH = [e for e in SOME if e.layer.inputs.keys() & {"x", "keys"}]


def layers_between_embedding_and_dense():
    """Sequences come from embeddings, and each output goes to a Dense layer."""
    layers = everything(ONE_OF_EACH)
    layers.name = "layers"
    symbols, inputs = [], []
    for symbol in layers.inputs:
        if symbol.name.endswith(("_x", "_keys")):
            symbols.append(keras.Input(symbol.shape[1:2], dtype="int32"))
            # Of kseq or of Keras.
            of = (Embedding, keras.layers.Embedding)[len(symbols) % 2]
            embedding = of(IDS, symbol.shape[-1])
            inputs.append(embedding(symbols[-1]))
        else:
            symbols.append(keras.Input(symbol.shape[1:], dtype=symbol.dtype))
            inputs.append(symbols[-1])
    outputs = {
        name: keras.layers.Dense(2, name=f"{name}_dense")(output)
        for name, output in layers(inputs).items()
    }
    model = keras.Model(symbols, outputs)
    seed_weights(model)
    return model


def predict(model):
    draw = np.random.default_rng(0)
    arrays = inputs_of(trials(ONE_OF_EACH))
    given = [
        draw.integers(1, IDS, x.shape[:2]).astype("int32")
        if symbol.dtype == "int32" and len(symbol.shape) == 2
        else x
        for symbol, x in zip(model.inputs, arrays, strict=True)
    ]
    given = [ops.convert_to_tensor(x) for x in given]
    return {n: ops.convert_to_numpy(y) for n, y in model(given).items()}


def assert_moved(got, expected, mode, name):
    assert np.all(np.isfinite(got)), name
    moved = np.abs(got - expected).max() / np.abs(expected).max()
    assert 0 < moved <= MOVES[mode], (name, moved)


def reloaded(model, folder):
    """The model, saved and loaded, twice."""
    for name in ("model.keras", "again.keras"):
        model.save(folder / name)
        model = keras.saving.load_model(folder / name)
    return model


@pytest.mark.once
def test_every_layer_in_a_quantised_model(tmp_path):
    model = layers_between_embedding_and_dense()
    expected = predict(model)
    quantise(model, "int8")
    got = predict(model)
    again = predict(reloaded(model, tmp_path))
    assert got.keys() >= {f"{e.name}-0" for e in ONE_OF_EACH}
    for name in got:
        assert_moved(got[name], expected[name], "int8", name)
        np.testing.assert_array_equal(again[name], got[name])
    quantised = {w.path for w in model.weights if w.dtype == "int8"}
    names = {path.rpartition("/")[2] for path in quantised}
    assert names == {"embeddings", "kernel"}
    assert all("embedding" in path or "_dense" in path for path in quantised)
    for layer in model.get_layer("layers").layers:
        assert {w.dtype for w in layer.trainable_weights} <= {"float32"}


@pytest.mark.once
@pytest.mark.parametrize(
    ("name", "mode"),
    [("DSIN", "int8"), ("BST", "int8"), ("DIN", "int4"), ("DIN", "float8")],
)
def test_quantised_models_save_and_load(name, mode, tmp_path):
    model = BY_NAME[name].make()
    expected = predict_click(model)
    quantise(model, mode)
    got = predict_click(model)
    assert_moved(got, expected, mode, name)
    again = reloaded(model, tmp_path)
    np.testing.assert_array_equal(predict_click(again), got)
    for m in (model, again):
        tables = [x for x in m.layers if isinstance(x, Embedding)]
        modes = {table.quantization_mode for table in tables}
        assert modes == {None if mode == "float8" else mode}


def test_a_file_quantised_on_another_backend_predicts_its_numbers():
    with np.load(QUANTISED.with_suffix(".npz")) as arrays:
        given = dict(arrays)
    if Version(keras.__version__) < Version(made_by := str(given["made_by"])):
        pytest.skip(f"Keras's Embedding of {made_by} has an option more")
    model = keras.saving.load_model(QUANTISED)
    assert_close(predict_click(model, given), given["output"])
