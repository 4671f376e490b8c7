"""Load weights saved by DeepCTR 0.9.4, without DeepCTR or TensorFlow."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import keras
import numpy as np

from kseq.checks import (
    Unquoted,
    check_instance,
    check_items,
    raise_invalid,
)
from kseq.convert.h5 import read_layers
from kseq.convert.matching import pair_weights, unused_weights
from kseq.convert.placing import Pair, Placement, place


def load_h5(
    model: keras.Model,
    filepath: Any,
    layer_names: Mapping[str, str | None] | None = None,
) -> list[Placement]:
    """Load the weights of a saved DeepCTR model into a model.

    Every weight of the model must have an array of its name and shape in the
    file, and every array a weight; otherwise nothing changes. Numbers that
    Keras appends to names (dnn_3 for the third DNN of a session) are ignored:
    layers of one class are matched in the order of their creation.

    Args:
        model: a model of `kseq.models` with the DeepCTR model's configuration,
            or your own model with kseq's layers in place of DeepCTR's.
        filepath: a file that DeepCTR wrote with `save_weights("....h5")` or
            `save("....h5")`. (Load directories and checkpoints in DeepCTR, and
            save the weights as .h5.)
        layer_names: `{name in the model: name in the file}` for layers whose
            names differ; `{name: None}` for a layer that keeps its weights
            because the file has none for it.

    Returns:
        A list of `(weight, source, shape)`: the path of the model's weight,
        the layer and name of the file's array, and their shape.

    Raises:
        ValueError: the file is missing, damaged or of another kind; a weight
            or an array has no partner, or their shapes differ (the error shows
            the layers concerned side by side); or `layer_names` is not a dict
            of names or contains an unknown layer. The model is unchanged.

    Differences from DeepCTR:
        DeepCTR neither trains nor saves the weights of AGRU and AUGRU, and a
        loaded model starts with random ones. `layer_names={"gru2": None}`
        loads all other weights; train these.

    Example:

    >>> import os, tempfile
    >>> import h5py, keras
    >>> from kseq.convert.deepctr import load_h5
    >>> from kseq.layers.core import PredictionLayer
    >>> path = os.path.join(tempfile.mkdtemp(), "weights.h5")
    >>> with h5py.File(path, "w") as file:  # as DeepCTR writes it
    ...     file.attrs["layer_names"] = ["prediction_layer_7"]
    ...     layer = file.create_group("prediction_layer_7")
    ...     layer.attrs["weight_names"] = ["prediction_layer_7/global_bias:0"]
    ...     layer["prediction_layer_7/global_bias:0"] = [0.5]
    >>> logit = keras.Input((1,))
    >>> model = keras.Model(logit, PredictionLayer(name="click")(logit))
    >>> names = {"click": "prediction_layer_7"}
    >>> [(p.weight, p.source) for p in load_h5(model, path, names)]
    [('click/global_bias', 'prediction_layer_7/global_bias:0')]
    """
    if not isinstance(model, keras.Model):
        raise_invalid("model", "a Keras model", model)
    if not model.built:
        raise_invalid(
            "model", "a built model (call it, or build it)", model.name
        )
    if layer_names is not None:
        expected = "a dict of layers' names, or None"
        check_instance("layer_names", layer_names, Mapping, expected)
        check_items("layer_names", [*layer_names], str, expected)
        sources = [*layer_names.values()]
        check_items("layer_names", sources, str | None, expected)
    layer_names = dict(layer_names or {})
    in_layers = {id(w) for layer in model.layers for w in layer.weights}
    if outside := [w.path for w in model.weights if id(w) not in in_layers]:
        raise_invalid(
            "model", "a model whose weights are all in its layers", outside
        )
    layers = pair_weights(model.layers, read_layers(filepath), layer_names)
    expected = f"an array for each weight of {model.name}, and no other"
    if unsaved := _unsaved_layers(model, layer_names):
        options = " ".join(f"--layer {name}=" for name in unsaved)
        expected += (
            " (DeepCTR does not save the weights of AGRU and AUGRU: "
            f"layer_names={unsaved}, on the command line {options}, loads all "
            "others)"
        )
    if unknown := _unknown_layers(layers):
        expected += (
            " (the file seems to belong to another model or to other columns: "
            f"neither {model.name} nor layer_names has its layers "
            f"{', '.join(unknown)})"
        )
    return place("filepath", expected, Unquoted(filepath), layers)


def _unknown_layers(layers: Sequence[Sequence[Pair]]) -> list[str]:
    """The file's layers for which the model has no weight."""
    return [
        pairs[0].source.partition("/")[0]
        for pairs in layers
        if all(pair.weight is None for pair in pairs)
    ]


def _unsaved_layers(
    model: keras.Model, layer_names: Mapping[str, str | None]
) -> dict[str, None]:
    """The layers whose weights DeepCTR does not save."""
    return {
        layer.name: None
        for layer in model.layers
        if getattr(layer, "gru_type", "") in ("AGRU", "AUGRU")
        and layer.name not in layer_names
    }


def set_layer_weights(layer: keras.Layer, weights: Sequence[Any]) -> None:
    """Set a layer's weights to those of the same DeepCTR layer.

    Args:
        layer: a built kseq layer.
        weights: the arrays of DeepCTR's `layer.get_weights()`, in its order:
            trained weights first, then moving statistics.

    Raises:
        ValueError: the layer is not built, or the number or the shapes of the
            arrays differ from its weights'. The error shows both lists, and
            the layer is unchanged.

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
        raise_invalid("layer", "a Keras layer", layer)
    if not layer.built:
        raise_invalid(
            "layer", "a built layer (call it, or build it)", layer.name
        )
    own = weights_in_deepctr_order(layer)
    weights = check_items("weights", weights, object, "a list of arrays")
    arrays = [np.asarray(weight) for weight in weights]
    unused = {*unused_weights(layer).values()}
    used = [array for i, array in enumerate(arrays) if i not in unused]
    place(
        "weights",
        f"{len(own) + len(unused)} weights of these shapes",
        [array.shape for array in arrays],
        [[Pair(*pair) for pair in zip_longest(own, used)]],
    )


def weights_in_deepctr_order(layer: keras.Layer) -> list[Any]:
    """Return a layer's weights in DeepCTR's order: moving statistics last.

    Raises:
        ValueError: `layer` is not a Keras layer.
    """
    check_instance("layer", layer, keras.Layer, "a Keras layer")
    # Not by `trainable_weights`, which are empty in a frozen layer.
    return sorted(layer.weights, key=lambda w: w.name.startswith("moving_"))
