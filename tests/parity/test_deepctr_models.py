"""A saved DeepCTR model predicts in kseq what it predicted there.

With `-s` the differences are printed.
"""

import numpy as np
import pytest

from kseq.convert.deepctr import load_h5, set_layer_weights
from tests.convert import recorded
from tests.golden.load import model_names
from tests.support import once

LIMIT = 1e-5


def test_every_model_is_recorded():
    found = {recorded.case(name).model for name in model_names()}
    assert found == {"DIN", "DIEN", "DSIN", "BST"}
    kinds = {
        recorded.case(name).arguments.get("gru_type") for name in model_names()
    }
    assert {"GRU", "AIGRU", "AGRU", "AUGRU"} <= kinds


# Where each model is compiled; the backends share the code of the others.
SOME = ("din", "dien_augru")


@pytest.mark.parametrize(
    "name", [name if name in SOME else once(name) for name in model_names()]
)
def test_predictions(name, tmp_path):
    case = recorded.case(name)
    model = recorded.make(case)
    inputs = recorded.inputs(case)
    for kind in case.files:
        for weight in model.weights:  # of the other file's
            weight.assign(np.zeros(weight.shape))
        path = recorded.write(case, kind, tmp_path)
        load_h5(model, path, recorded.not_saved(case))
        if case.unsaved:
            unsaved = list(case.unsaved.values())
            set_layer_weights(model.get_layer("gru2"), unsaved)
        got = recorded.predict(model, inputs)
        assert got.shape == case.predictions.shape
        difference = np.abs(got - case.predictions).max()
        print(f"{name}, {kind}: {difference:.1e}")
        assert difference <= LIMIT, kind
