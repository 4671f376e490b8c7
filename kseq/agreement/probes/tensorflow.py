"""TensorFlow: eager, or compiled by XLA."""

import contextlib
from typing import Any

import keras
import tensorflow as tf

from kseq.agreement.reference import flatten


def float64() -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


def device() -> str:
    return "gpu" if tf.config.list_physical_devices("GPU") else "cpu"


def devices() -> list[str]:
    return [
        tf.config.experimental.get_device_details(device).get(
            "device_name", device.device_type.lower()
        )
        for device in tf.config.list_physical_devices()
    ]


def forward(
    layer: Any, inputs: Any, kwargs: dict[str, Any], compiled: bool
) -> list[Any]:
    def outputs(inputs: Any) -> list[Any]:
        return flatten(layer(inputs, **kwargs))

    return _maybe_compiled(outputs, compiled)(inputs)


def gradients(
    layer: Any,
    inputs: Any,
    kwargs: dict[str, Any],
    cotangents: list[Any],
    compiled: bool,
) -> tuple[list[Any], list[Any]]:
    weights = [w.value for w in getattr(layer, "weights", []) if w.trainable]

    def gradient(inputs: Any) -> Any:
        features = [
            x for x in keras.tree.flatten(inputs) if x.dtype.is_floating
        ]
        with tf.GradientTape() as tape:
            tape.watch(features)
            outputs = flatten(layer(inputs, **kwargs))
            loss = tf.add_n(
                [
                    tf.reduce_sum(o * c)
                    for o, c in zip(outputs, cotangents, strict=True)
                ]
            )
        return tape.gradient(
            loss,
            (features, weights),
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )

    input_gradients, weight_gradients = _maybe_compiled(gradient, compiled)(
        inputs
    )
    return list(input_gradients), list(weight_gradients)


def _maybe_compiled(function: Any, compiled: bool) -> Any:
    if not compiled:
        return function
    return tf.function(function, jit_compile=True, autograph=False)
