"""Weights from DeepCTR 0.9.4, without DeepCTR or its TensorFlow."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kseq.checks import refuse


def set_layer_weights(layer: keras.Layer, weights: Sequence[Any]) -> None:
    """Give a layer the weights of the DeepCTR layer of its name.

    Args:
        layer: a built kseq layer.
        weights: what DeepCTR's `layer.get_weights()` gave, in its order:
            trained weights first, then moving statistics.

    Raises:
        ValueError: the layer is not built, or there are more, fewer or other
            shapes than it has; the error shows both lists, and the layer stays
            as it was.

    Example:

    >>> import numpy as np
    >>> from kseq.convert.deepctr import set_layer_weights
    >>> from kseq.layers.core import Dice
    >>> dice = Dice()
    >>> dice.build((None, 2))
    >>> alpha, mean, variance = np.ones(2), np.zeros(2), np.ones(2)
    >>> set_layer_weights(dice, [alpha, mean, variance])
    >>> [w.name for w in weights_in_deepctr_order(dice)]
    ['dice_alpha', 'moving_mean', 'moving_variance']
    """
    if not isinstance(layer, keras.Layer):
        refuse("layer", "a Keras layer", layer)
    if not layer.built:
        refuse("layer", "a built layer (call it, or build it)", layer.name)
    own = weights_in_deepctr_order(layer)
    arrays = [_as_floats(weight) for weight in weights]
    if [a.shape for a in arrays] != [tuple(w.shape) for w in own]:
        refuse(
            "weights",
            _side_by_side(own, arrays),
            [array.shape for array in arrays],
        )
    for weight, array in zip(own, arrays, strict=True):
        weight.assign(array)


def weights_in_deepctr_order(layer: keras.Layer) -> list[Any]:
    """A layer's weights as DeepCTR orders them: moving statistics last.

    Not `trainable_weights` and the rest: a frozen layer has none.
    """
    return sorted(layer.weights, key=lambda w: w.name.startswith("moving_"))


def _as_floats(weight: Any) -> Any:
    array = np.asarray(weight)
    if array.dtype.kind not in "fiu":
        refuse("weights", "arrays of numbers", array.dtype.name)
    return array


def _side_by_side(own: list[Any], arrays: list[Any]) -> str:
    rows = [f"{len(own)} weights of these shapes:"]
    for i in range(max(len(own), len(arrays))):
        mine = f"{own[i].path} {tuple(own[i].shape)}" if i < len(own) else "-"
        given = str(arrays[i].shape) if i < len(arrays) else "-"
        mark = "" if mine.endswith(f" {given}") else "   <--"
        rows.append(f"  {mine}   given: {given}{mark}")
    return "\n".join(rows) + "\n"
