"""Activations as the layers' arguments name them."""

import inspect
from dataclasses import dataclass
from typing import Any

import keras

from kseq.checks import Unquoted, raise_invalid
from kseq.layers.core.dice import Dice
from kseq.ops.numerics import tanh

EXPECTED = (
    "the name of a Keras activation, 'dice', a function, or a keras layer or "
    "its class"
)


@dataclass(frozen=True)
class LayerCopies:
    """A layer of which each place gets a copy of its own.

    Not the layer itself, which Keras would take for a part of its keeper.
    """

    of: Any
    config: dict[str, Any]


def check_activation(name: str, activation: Any) -> Any:
    """The activation as it is kept: a name, a function, a class or copies.

    A config, which comes from a saved model, is read at once: what it names is
    known while the model is loaded.
    """
    kept = activation
    try:
        if isinstance(kept, dict):
            kept = keras.saving.deserialize_keras_object(kept)
        if isinstance(kept, keras.layers.Layer):
            kept = LayerCopies(type(kept), kept.get_config())
        activation_layer(kept)
    # A config may name what is not installed, or not there.
    except (
        AttributeError,
        ImportError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        if isinstance(activation, (dict, keras.layers.Layer)):
            # Keras has the reason, such as that code of a file is not run.
            raise_invalid(name, EXPECTED, Unquoted(f"{activation!r} ({error})"))
        raise_invalid(name, EXPECTED, activation)
    return kept


def activation_layer(
    activation: Any, dtype: Any = None, name: str = "activation"
) -> keras.layers.Layer:
    """A new layer for an activation that `check_activation` gave.

    Args:
        activation: what was given.
        dtype: the new layer's dtype or policy.
        name: its name, of which the paths of its weights are made: Keras's own
            counts all layers of the process.
    """
    options = {"dtype": dtype, "name": name}
    if activation in ("dice", "Dice"):
        return Dice(**options)
    if activation == "tanh":  # Keras's own rounds float64 to 32 bits on JAX
        return keras.layers.Activation(tanh, **options)
    if isinstance(activation, LayerCopies):
        return activation.of.from_config({**activation.config, **options})
    if isinstance(activation, type):
        if not issubclass(activation, keras.layers.Layer):
            raise TypeError(f"{activation} is no keras layer")
        return activation(**options)
    return keras.layers.Activation(activation, **options)


def call_parameters(layer: keras.layers.Layer) -> frozenset[str]:
    """The names of a layer's call arguments: not every one takes a mask."""
    return frozenset(inspect.signature(layer.call).parameters)


def serialize_activation(activation: Any) -> Any:
    """The activation as a saved config holds it."""
    if isinstance(activation, type):
        layer = activation_layer(activation)
        return keras.saving.serialize_keras_object(layer)
    if isinstance(activation, LayerCopies):
        activation = activation.of.from_config(dict(activation.config))
    if isinstance(activation, str) or activation is None:
        return activation
    return keras.saving.serialize_keras_object(activation)
