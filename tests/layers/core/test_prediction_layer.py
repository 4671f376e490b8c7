"""A model's last layer."""

import numpy as np
import pytest

from kseq.layers.core import PredictionLayer
from tests.arrays import to_numpy
from tests.layers.checks import assert_close

X = np.array([[-2.0], [0.0], [0.5]], "float32")


@pytest.mark.parametrize("task", ["binary", "regression"])
@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("shape", [(3, 1), (3,), (1, 3, 1)])
def test_follows_its_formula(task, use_bias, shape):
    layer = PredictionLayer(task, use_bias)
    x = X.reshape(shape)
    layer.build(x.shape)
    assert [w.name for w in layer.weights] == ["global_bias"] * use_bias
    expected = x.astype("float64")
    if use_bias:
        assert to_numpy(layer.global_bias.value).tolist() == [0.0]
        layer.global_bias.assign([0.75])
        expected = expected + 0.75
    if task == "binary":
        expected = 1 / (1 + np.exp(-expected))
    assert_close(to_numpy(layer(x)), expected)
    assert layer.compute_output_shape(shape) == shape


def test_config_makes_it_again():
    layer = PredictionLayer("regression", use_bias=False)
    again = PredictionLayer.from_config(layer.get_config())
    assert (again.task, again.use_bias) == ("regression", False)


def test_what_is_wrong_is_refused():
    with pytest.raises(
        ValueError, match="task: expected one of 'binary', 'reg"
    ):
        PredictionLayer("multiclass")
    with pytest.raises(ValueError, match="use_bias: expected True or False"):
        PredictionLayer(use_bias=None)
