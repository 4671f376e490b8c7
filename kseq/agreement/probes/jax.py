"""JAX: eager, or compiled by XLA."""

import contextlib
from typing import Any

import jax
import keras

from kseq.agreement.reference import flatten


def float64() -> contextlib.AbstractContextManager[None]:
    return jax.enable_x64(True)


def device() -> str:
    return "cpu" if jax.default_backend() == "cpu" else "gpu"


def devices() -> list[str]:
    return [device.device_kind for device in jax.devices()]


def forward(
    layer: Any, inputs: Any, kwargs: dict[str, Any], compiled: bool
) -> list[Any]:
    if not compiled:
        return flatten(layer(inputs, **kwargs))
    outputs, _ = jax.jit(_pure(layer, kwargs))(*_state(layer), inputs)
    return flatten(outputs)


def gradients(
    layer: Any,
    inputs: Any,
    kwargs: dict[str, Any],
    cotangents: list[Any],
    compiled: bool,
) -> tuple[list[Any], list[Any]]:
    call = _pure(layer, kwargs)
    trainable, others = _state(layer)
    flat = keras.tree.flatten(inputs)
    positions = [
        i for i, x in enumerate(flat) if keras.backend.is_float_dtype(x.dtype)
    ]

    def outputs_of(features: list[Any], trainable: list[Any]) -> list[Any]:
        filled = list(flat)
        for i, feature in zip(positions, features, strict=True):
            filled[i] = feature
        packed = keras.tree.pack_sequence_as(inputs, filled)
        outputs, _ = call(trainable, others, packed)
        return flatten(outputs)

    def gradient(
        features: list[Any], trainable: list[Any], cotangents: list[Any]
    ) -> tuple[list[Any], list[Any]]:
        _, pull_back = jax.vjp(outputs_of, features, trainable)
        # One compilation; those of its operations, each alone, take longer.
        return jax.jit(lambda pull_back, c: pull_back(c))(pull_back, cotangents)

    if compiled:
        gradient = jax.jit(gradient)
    features = [flat[i] for i in positions]
    input_gradients, weight_gradients = gradient(
        features, trainable, cotangents
    )
    return list(input_gradients), list(weight_gradients)


def _state(layer: Any) -> tuple[list[Any], list[Any]]:
    return (
        [v.value for v in getattr(layer, "trainable_variables", [])],
        [v.value for v in getattr(layer, "non_trainable_variables", [])],
    )


def _pure(layer: Any, kwargs: dict[str, Any]) -> Any:
    """Return a pure function of variables and inputs: `(outputs, others)`."""
    if not isinstance(layer, keras.Layer):
        return lambda _, others, inputs: (layer(inputs, **kwargs), others)

    def call(trainable: Any, others: Any, inputs: Any) -> Any:
        return layer.stateless_call(trainable, others, inputs, **kwargs)

    return call
