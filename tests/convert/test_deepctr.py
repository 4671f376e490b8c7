"""Weights of single layers, and assignment on each backend."""

import h5py
import keras
import numpy as np
import pytest

from kseq.convert.deepctr import (
    load_h5,
    set_layer_weights,
    weights_in_deepctr_order,
)
from kseq.layers.core import Dice
from kseq.layers.sequence import AttentionSequencePoolingLayer
from tests.arrays import to_numpy
from tests.convert import recorded


@pytest.fixture
def layer():
    layer = AttentionSequencePoolingLayer((4, 2), "dice")
    layer.build((None, 1, 3), (None, 5, 3))
    return layer


def arrays_for(layer):
    """An array for each weight, filled with its index in DeepCTR's order."""
    weights = enumerate(weights_in_deepctr_order(layer))
    return [np.full(weight.shape, float(i)) for i, weight in weights]


@pytest.mark.once
@pytest.mark.parametrize("trainable", [True, False])
def test_weights_have_deepctr_s_order(layer, trainable):
    layer.trainable = trainable
    set_layer_weights(layer, arrays_for(layer))
    weights = weights_in_deepctr_order(layer)
    assert [w.name for w in weights] == [
        *("kernel", "bias", "kernel0", "kernel1", "bias0", "bias1"),
        *("dice_alpha", "dice_alpha"),
        *("moving_mean", "moving_variance", "moving_mean", "moving_variance"),
    ]
    for i, weight in enumerate(weights):
        assert np.all(to_numpy(weight.value) == i)


@pytest.mark.once
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda w: w[:-1], id="one too few"),
        pytest.param(lambda w: [*w, np.zeros(2)], id="one too many"),
        pytest.param(lambda w: [w[0].T, *w[1:]], id="another shape"),
        pytest.param(lambda w: [w[1], w[0], *w[2:]], id="another order"),
    ],
)
def test_other_weights_change_nothing(layer, change):
    before = layer.get_weights()
    with pytest.raises(ValueError, match="weights: expected 12 weights") as e:
        set_layer_weights(layer, change(arrays_for(layer)))
    assert "local_activation_unit/kernel (2, 1)" in str(e.value)
    assert "<--" in str(e.value)
    for old, new in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.once
def test_a_layer_that_is_not_built_is_rejected():
    with pytest.raises(ValueError, match="layer: expected a built layer"):
        set_layer_weights(Dice(), [])


@pytest.mark.once
def test_unused_deepctr_weights_are_ignored(tmp_path):
    class Block(keras.layers.Layer):
        def build(self, shape):
            self.first = self.add_weight(shape=(2,), name="first")
            self.last = self.add_weight(shape=(2,), name="last")

        def call(self, x):
            return x * self.first + self.last

    x = keras.Input((2,))
    layer = Block()
    model = keras.Model(x, layer(x))
    one, two, three = np.ones(2), np.full(2, 2.0), np.full(2, 3.0)
    weights = {"first": one, "unused": two, "last": three}
    path = recorded.write_h5(tmp_path / "block.h5", {"block_3": weights})
    with pytest.raises(ValueError, match="-   given: block_3/unused:0"):
        load_h5(model, path)
    with pytest.raises(ValueError, match="expected 2 weights"):
        set_layer_weights(layer, [one, two, three])
    layer.unused_deepctr_weights = {"unused": 1}
    load_h5(model, path)
    np.testing.assert_array_equal(model.get_weights(), [one, three])
    set_layer_weights(layer, [two, three, one])
    np.testing.assert_array_equal(model.get_weights(), [two, one])
    with pytest.raises(ValueError, match="expected 3 weights"):
        set_layer_weights(layer, [one, two, three, one])


# Assignment, on each backend.


@pytest.fixture
def dense(tmp_path):
    x = keras.Input((2,))
    model = keras.Model(x, keras.layers.Dense(2, name="dense")(x))
    weights = {"kernel": np.array([[1, 2], [3, 4]]), "bias": np.ones(2)}
    return model, recorded.write_h5(tmp_path / "dense.h5", {"dense": weights})


@pytest.mark.parametrize("dtype", [">f4", "<f8", "longdouble", "f2", ">i8"])
def test_arrays_of_any_number_type(dtype, dense):
    """Of the other byte order, or longer than a backend accepts."""
    model, path = dense
    with h5py.File(path, "r+") as file:
        kernel = file["dense"].pop("dense/kernel:0")[()]
        file["dense"]["dense/kernel:0"] = kernel.astype(dtype)
    load_h5(model, path)
    np.testing.assert_array_equal(model.get_weights()[0], [[1, 2], [3, 4]])


@pytest.mark.parametrize("failing", [0, 1])
def test_a_failing_assignment_changes_nothing(failing, dense, monkeypatch):
    model, path = dense
    before = model.get_weights()
    assign = keras.Variable.assign
    assigned = []

    def fail(self, value):
        assigned.append(self.path)
        if len(assigned) == failing + 1:
            raise MemoryError("the device is full")
        return assign(self, value)

    monkeypatch.setattr(keras.Variable, "assign", fail)
    with pytest.raises(MemoryError, match="the device is full"):
        load_h5(model, path)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    load_h5(model, path)
    assert model.get_weights()[1].all()
