"""Weights from DeepCTR 0.9.4, without DeepCTR or its TensorFlow."""

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
from kseq.convert.matching import pair_weights
from kseq.convert.placing import Pair, Placement, place


def load_h5(
    model: keras.Model,
    filepath: Any,
    layer_names: Mapping[str, str | None] | None = None,
) -> list[Placement]:
    """Give a model the weights of a file that a DeepCTR model was saved in.

    Every weight of the model gets the array that has its name and stands at
    its place, and every array of the file goes to a weight: or nothing is
    changed. Numbers that Keras gave to names (dnn_3, for the third of a
    session) do not matter: layers of one kind are taken in the order in which
    they were made.

    Args:
        model: one of `kseq.models`, of the configuration of the DeepCTR model;
            or a model of your own, with kseq's layers in place of DeepCTR's.
        filepath: what DeepCTR wrote: `save_weights("....h5")` or
            `save("....h5")`. (Not a directory, nor a checkpoint: load these in
            DeepCTR, and write the weights as .h5.)
        layer_names: for layers that have other names in the file, `{name in
            the model: name in the file}`; and `{name: None}` for a layer that
            is to stay as it is, since the file has no weights for it. None:
            there are none.

    Returns:
        What went where: a list of `(weight, source, shape)`, the path of the
        model's weight, layer and name of the file's array, and their shape.

    Raises:
        ValueError: the file is not whole, not of that kind or not there; a
            weight has no array, an array no weight, or they differ in shape
            (the error shows these layers of both, side by side); or
            `layer_names` is no dict of names, or names a layer that is not
            there. The model is as it was.

    Differences from DeepCTR:
        DeepCTR neither trains nor saves the weights of AGRU and AUGRU, and
        gives random ones to a model that is loaded. `layer_names={"gru2":
        None}` loads all others; these are to be trained.

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
        given = [*layer_names.values()]
        check_items("layer_names", given, str | None, expected)
    layer_names = dict(layer_names or {})
    in_layers = {id(w) for layer in model.layers for w in layer.weights}
    if others := [w.path for w in model.weights if id(w) not in in_layers]:
        raise_invalid(
            "model", "a model whose weights are all in its layers", others
        )
    layers = pair_weights(model.layers, read_layers(filepath), layer_names)
    expected = f"an array for each weight of {model.name}, and no other"
    if missing := _never_saved(model, layer_names):
        options = " ".join(f"--layer {name}=" for name in missing)
        expected += (
            f" (of AGRU and AUGRU DeepCTR saves none: layer_names={missing}, "
            f"on the command line {options}, loads all others)"
        )
    if others := _of_the_file_alone(layers):
        expected += (
            f" (the file looks like another model's, or that of other columns: "
            f"{model.name} has nothing for its {', '.join(others)}, nor does "
            "layer_names say what has)"
        )
    return place("filepath", expected, Unquoted(filepath), layers)


def _of_the_file_alone(layers: Sequence[Sequence[Pair]]) -> list[str]:
    """The file's layers of which the model has no weight."""
    return [
        pairs[0].source.partition("/")[0]
        for pairs in layers
        if all(pair.weight is None for pair in pairs)
    ]


def _never_saved(
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
        raise_invalid("layer", "a Keras layer", layer)
    if not layer.built:
        raise_invalid(
            "layer", "a built layer (call it, or build it)", layer.name
        )
    own = weights_in_deepctr_order(layer)
    weights = check_items("weights", weights, object, "a list of arrays")
    arrays = [np.asarray(weight) for weight in weights]
    place(
        "weights",
        f"{len(own)} weights of these shapes",
        [array.shape for array in arrays],
        [[Pair(*pair) for pair in zip_longest(own, arrays)]],
    )


def weights_in_deepctr_order(layer: keras.Layer) -> list[Any]:
    """A layer's weights as DeepCTR orders them: moving statistics last.

    Not `trainable_weights` and the rest: a frozen layer has none.

    Raises:
        ValueError: `layer` is no Keras layer.
    """
    check_instance("layer", layer, keras.Layer, "a Keras layer")
    return sorted(layer.weights, key=lambda w: w.name.startswith("moving_"))
