"""Keras's `model.quantize` beside kseq's layers.

It quantises tables and Dense; kseq's other layers stay as they are.
"""

import keras
import numpy as np
import pytest
from packaging.version import Version

from kseq.layers import Embedding
from tests.models.examples import BY_NAME
from tests.models.examples import predict as predict_click
from tests.models.saved.quantised import QUANTISED, quantise
from tests.support import assert_close

# Keras's NumPy backend warns that a quantised Dense has no gradient there.
pytestmark = pytest.mark.filterwarnings(
    "ignore:(?s).*custom_gradient:UserWarning"
)
# How far an output may move, in units of its largest value.
MOVES = {"int8": 0.02, "int4": 0.3, "float8": 0.1}


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
@pytest.mark.parametrize(
    ("name", "mode"),
    [
        *(("DSIN", "int8"), ("BST", "int8"), ("DIEN-AUGRU-negatives", "int8")),
        *(("DIN", "int4"), ("DIN", "float8")),
    ],
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
