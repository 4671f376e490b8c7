"""Keras's `model.quantize` beside kseq's layers.

It quantises tables and Dense; kseq's other layers stay as they are.
"""

import keras
import numpy as np
import pytest

from kseq.layers import Embedding
from tests.models.examples import BY_NAME, predict
from tests.saved.make import quantise

pytestmark = pytest.mark.once
# How far an output may move, in units of its largest value.
MOVES = {"int8": 0.02, "int4": 0.3, "float8": 0.1}


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        *(("DSIN", "int8"), ("BST", "int8"), ("DIEN-AUGRU-negatives", "int8")),
        *(("DIN", "int4"), ("DIN", "float8")),
    ],
)
def test_quantised_models_save_and_load(name, mode, tmp_path):
    model = BY_NAME[name].make()
    expected = predict(model)
    quantise(model, mode)
    got = predict(model)
    assert np.all(np.isfinite(got))
    moved = np.abs(got - expected).max() / np.abs(expected).max()
    assert 0 < moved <= MOVES[mode]
    again = model
    for file in ("model.keras", "again.keras"):
        again.save(tmp_path / file)
        again = keras.saving.load_model(tmp_path / file)
    np.testing.assert_array_equal(predict(again), got)
    for m in (model, again):
        tables = [x for x in m.layers if isinstance(x, Embedding)]
        modes = {table.quantization_mode for table in tables}
        assert modes == {None if mode == "float8" else mode}
