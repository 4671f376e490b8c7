"""A SavedModel serves other numbers of steps than its example."""

import keras
import pytest

from tests.arrays import to_numpy
from tests.layers.checks import assert_close
from tests.layers.examples import (
    ARRAYS,
    BY_NAME,
    everything,
    model_inputs,
    predict,
    with_steps,
)

BACKEND = keras.backend.backend()
NAMES = ("sum", "mean", "max", "weighted", "attention-dice", "k-max")


@pytest.mark.skipif(
    BACKEND != "tensorflow", reason="only TensorFlow writes a SavedModel"
)
def test_saved_model_takes_another_number_of_steps(tmp_path):
    model = everything(examples=[BY_NAME[name] for name in NAMES])
    model.export(tmp_path / "model", verbose=False)
    served = keras.layers.TFSMLayer(tmp_path / "model", call_endpoint="serve")
    for arrays in (ARRAYS, with_steps(3)):
        expected = predict(model, arrays)
        inputs = model_inputs(model, arrays)
        outputs = served([keras.ops.convert_to_tensor(x) for x in inputs])
        assert outputs.keys() == expected.keys()
        for name, got in outputs.items():
            assert_close(to_numpy(got), expected[name], name=name)
