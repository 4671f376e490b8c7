import numpy as np
import pytest

from kseq.convert.deepctr import set_layer_weights, weights_in_deepctr_order
from kseq.layers.core import Dice
from kseq.layers.sequence import AttentionSequencePoolingLayer
from tests.arrays import to_numpy


def dice_attention():
    layer = AttentionSequencePoolingLayer((4, 2), "dice")
    layer.build([(None, 1, 3), (None, 5, 3), (None, 1)])
    return layer


def numbered(layer):
    """One array a weight, filled with its place in DeepCTR's order."""
    return [
        np.full(weight.shape, float(i))
        for i, weight in enumerate(weights_in_deepctr_order(layer))
    ]


def test_order_is_deepctrs():
    names = [w.name for w in weights_in_deepctr_order(dice_attention())]
    assert names == [
        *("kernel", "bias", "kernel0", "kernel1", "bias0", "bias1"),
        *("dice_alpha", "dice_alpha"),
        *("moving_mean", "moving_variance", "moving_mean", "moving_variance"),
    ]


def test_sets_every_weight():
    layer = dice_attention()
    set_layer_weights(layer, numbered(layer))
    for i, weight in enumerate(weights_in_deepctr_order(layer)):
        assert np.all(to_numpy(weight.value) == i)


def test_a_frozen_layer_has_the_same_order():
    layer = dice_attention()
    names = [w.name for w in weights_in_deepctr_order(layer)]
    layer.trainable = False
    assert [w.name for w in weights_in_deepctr_order(layer)] == names


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda w: w[:-1], id="one too few"),
        pytest.param(lambda w: [*w, np.zeros(2)], id="one too many"),
        pytest.param(lambda w: [w[0].T, *w[1:]], id="another shape"),
        pytest.param(lambda w: [w[1], w[0], *w[2:]], id="another order"),
    ],
)
def test_refuses_and_changes_nothing(change):
    layer = dice_attention()
    set_layer_weights(layer, numbered(layer))
    before = [to_numpy(w.value) for w in layer.weights]
    given = [array + 100 for array in numbered(layer)]
    with pytest.raises(ValueError, match="weights: expected 12 weights") as e:
        set_layer_weights(layer, change(given))
    assert "local_activation_unit/kernel (2, 1)" in str(e.value)
    assert "<--" in str(e.value)
    for old, weight in zip(before, layer.weights, strict=True):
        np.testing.assert_array_equal(old, to_numpy(weight.value))


def test_refuses_what_is_no_layer():
    with pytest.raises(ValueError, match=r"^layer: expected a Keras layer; r"):
        set_layer_weights("dice", [])


def test_refuses_a_layer_that_is_not_built():
    with pytest.raises(ValueError, match="layer: expected a built layer"):
        set_layer_weights(Dice(), [])


def test_refuses_what_is_no_number():
    layer = Dice()
    layer.build((None, 1))
    with pytest.raises(ValueError, match="arrays of numbers"):
        set_layer_weights(layer, [np.array(["a"])] * 3)
