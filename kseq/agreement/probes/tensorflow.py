"""TensorFlow: eager, or compiled by XLA."""

import contextlib
from typing import Any

import keras
import tensorflow as tf

from kseq.agreement import probes


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


def forward(function: Any, args: Any, kwargs: Any, compiled: bool) -> Any:
    if not compiled:
        return function(*args, **kwargs)
    return _compiled(function)(*args, **kwargs)


def gradients(
    function: Any, args: Any, kwargs: Any, cotangents: Any, compiled: bool
) -> list[tuple[list[Any], list[Any]]]:
    layers = [function] if isinstance(function, keras.Layer) else []
    weights = [w.value for x in layers for w in x.weights if w.trainable]

    def gradient(*args: Any, **kwargs: Any) -> Any:
        features = probes.float_tensors((args, kwargs))
        found = []
        for i, cotangent in enumerate(cotangents):
            if cotangent is None:
                continue
            # Not one persistent tape: XLA does not compile that of a loop.
            with tf.GradientTape() as tape:
                tape.watch(features)
                outputs = keras.tree.flatten(function(*args, **kwargs))
                total = tf.reduce_sum(outputs[i] * cotangent)
            found.append(tape.gradient(total, (features, weights)))
        return found

    if compiled:
        gradient = _compiled(gradient)
    return [(list(a), list(b)) for a, b in gradient(*args, **kwargs)]


def narrowed(function: Any, args: Any, kwargs: Any) -> list[str]:
    graph = tf.function(function, autograph=False).get_concrete_function(
        *args, **kwargs
    )
    casts = (
        operation
        for operation in graph.graph.get_operations()
        if operation.type == "Cast"
        and operation.get_attr("SrcT") == tf.float64
        and operation.get_attr("DstT") == tf.float32
    )
    found = {
        probes.keras_function(
            (frame.filename, frame.name) for frame in reversed(cast.traceback)
        )
        for cast in casts
    }
    return sorted(found - {""})


def _compiled(function: Any) -> Any:
    return tf.function(function, jit_compile=True, autograph=False)
