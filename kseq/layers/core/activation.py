"""Activations as the layers' arguments name them."""

import inspect
from collections.abc import Callable
from typing import Any

import keras

from kseq.checks import Unquoted, raise_invalid
from kseq.layers.base import LayerTemplate
from kseq.layers.core.dice import Dice
from kseq.ops.numerics import tanh

EXPECTED = (
    "the name of a Keras activation, 'dice', a function, or a keras layer or "
    "its class"
)


def check_activation(name: str, activation: Any) -> Any:
    """The activation as a layer stores it: a name, a function or a template.

    A config, as in a saved model, is deserialized at once, so that a missing
    class is reported while the model is loaded.
    """
    stored = activation
    try:
        if isinstance(stored, dict):
            stored = keras.saving.deserialize_keras_object(stored)
        if isinstance(stored, type):
            stored = stored()
            if not isinstance(stored, keras.layers.Layer):
                raise TypeError(f"{activation} is not a keras layer")
        if isinstance(stored, keras.layers.Layer):
            stored = LayerTemplate(type(stored), stored.get_config())
        create_activation(stored)
    # A config may name what is not installed or does not exist.
    except (
        AttributeError,
        ImportError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        if isinstance(activation, (dict, keras.layers.Layer)):
            # Keras says why, for example that a file's code is not run.
            received = Unquoted(f"{activation!r} ({error})")
            raise_invalid(name, EXPECTED, received)
        raise_invalid(name, EXPECTED, activation)
    return stored


def create_activation(
    activation: Any, dtype: Any = None, name: str = "activation"
) -> Callable[..., Any]:
    """A function, or a new layer, for an activation that was checked.

    Args:
        activation: as `check_activation` returns it.
        dtype: the layer's dtype or policy.
        name: the layer's name, which is part of its weights' paths.
    """
    if isinstance(activation, LayerTemplate):
        return activation.create(dtype=dtype, name=name)
    if activation in ("dice", "Dice"):
        return Dice(dtype=dtype, name=name)
    if activation == "tanh":  # Keras's rounds float64 to 32 bits on JAX
        return tanh
    return keras.activations.get(activation)


def call_options(activation: Callable[..., Any]) -> list[str]:
    """Which of mask and training an activation that is a layer takes."""
    if not isinstance(activation, keras.layers.Layer):
        return []
    parameters = inspect.signature(activation.call).parameters
    return [name for name in ("mask", "training") if name in parameters]
