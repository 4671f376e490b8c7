"""Run a layer of DeepCTR 0.9.4 and collect its outputs and gradients."""

from __future__ import annotations

import multiprocessing
import os
import platform
import zlib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

# oneDNN selects kernels, and so the rounding, by the kind of CPU.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import deepctr
import numpy as np
import tensorflow as tf  # noqa: TID251
from configurations import Configuration
from deepctr.layers import activation, core, sequence

tf.get_logger().setLevel("ERROR")  # no deprecation warnings

MODULES = {"Dice": activation, "DNN": core, "LocalActivationUnit": core}


@dataclass(frozen=True)
class Recording:
    """The numbers of one call; gradients are by index, where defined."""

    configuration: Configuration
    inputs: list[np.ndarray]
    weight_names: list[str]
    trainable: list[bool]
    weights: list[np.ndarray]
    weights_after: list[np.ndarray]
    outputs: list[np.ndarray]
    cotangents: list[np.ndarray]
    grad_inputs: dict[int, np.ndarray]
    grad_weights: dict[int, np.ndarray]


def versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
        "deepctr": deepctr.__version__,
    }


def record_layer(layer_name: str, table: list[Configuration]):
    if layer_name == "DynamicGRU":
        return in_new_process(_record_in_graphs, table)
    return [_record_eagerly(layer_name, row) for row in table]


def in_new_process(function, *arguments):
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


def _record_eagerly(layer_name, row):
    tf.keras.backend.clear_session()  # weight names count layers from zero
    rng = _generator(layer_name, row)
    layer = _make(layer_name, row)
    arrays = [source.draw(rng) for source in row.inputs.values()]
    tensors = [tf.constant(array) for array in arrays]
    features = _feature_positions(row)
    watched = [tensors[i] for i in features]
    arguments, options = _call_arguments(row, tensors)

    layer(arguments, **options)  # builds the weights
    if not row.initial_weights:
        layer.set_weights([_draw_weight(rng, w) for w in layer.weights])
    weights = layer.get_weights()
    trained = [i for i, w in enumerate(layer.weights) if w.trainable]

    with tf.GradientTape() as tape:
        tape.watch(watched)
        outputs = tf.nest.flatten(layer(arguments, **options))
        cotangents = [_draw_cotangent(rng, y, row) for y in outputs]
        objective = _inner_product(outputs, cotangents)
    gradients = tape.gradient(
        objective,
        watched + [layer.weights[i] for i in trained],
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    dense = [tf.convert_to_tensor(gradient).numpy() for gradient in gradients]
    return Recording(
        configuration=row,
        inputs=arrays,
        weight_names=[weight.name for weight in layer.weights],
        trainable=[weight.trainable for weight in layer.weights],
        weights=weights,
        weights_after=layer.get_weights(),
        outputs=[output.numpy() for output in outputs],
        cotangents=cotangents,
        grad_inputs=dict(zip(features, dense[: len(watched)], strict=True)),
        grad_weights=dict(zip(trained, dense[len(watched) :], strict=True)),
    )


def _record_in_graphs(table):
    """Record DynamicGRU, whose loop runs in a graph only in TensorFlow 2."""
    use_graphs()
    return [_record_in_graph(row) for row in table]


def use_graphs():
    tf.compat.v1.disable_eager_execution()
    tf.compat.v1.experimental.output_all_intermediates(True)


def _record_in_graph(row):
    rng = _generator("DynamicGRU", row)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        layer = _make("DynamicGRU", row, name="dynamic_gru")
        arrays = [source.draw(rng) for source in row.inputs.values()]
        tensors = [tf.constant(array) for array in arrays]
        features = _feature_positions(row)
        output = layer(tensors)
        # layer.weights is empty for AGRU and AUGRU.
        variables = tf.compat.v1.global_variables()
        weights = [_draw_weight(rng, variable) for variable in variables]
        cotangent = _draw_cotangent(rng, output, row)
        objective = _inner_product([output], [cotangent])
        gradients = [
            tf.gradients(
                objective,
                sources,
                unconnected_gradients=tf.UnconnectedGradients.ZERO,
            )
            for sources in ([tensors[i] for i in features], variables)
        ]
        for variable, weight in zip(variables, weights, strict=True):
            session.run(tf.compat.v1.assign(variable, weight))
        result, (grad_features, grad_variables), weights_after = session.run(
            [output, gradients, variables]
        )
        names = [variable.name for variable in variables]
    return Recording(
        configuration=row,
        inputs=arrays,
        weight_names=names,
        trainable=[True] * len(names),
        weights=weights,
        weights_after=weights_after,
        outputs=[result],
        cotangents=[cotangent],
        grad_inputs=dict(zip(features, grad_features, strict=True)),
        grad_weights=dict(enumerate(grad_variables)),
    )


def _generator(layer_name, row):
    """Return a generator seeded by name: rows do not affect each other."""
    seed = zlib.crc32(f"{layer_name}/{row.name}".encode())
    return np.random.default_rng(seed)


def _make(layer_name, row, **options):
    layer_class = getattr(MODULES.get(layer_name, sequence), layer_name)
    kwargs = {
        name: getattr(tf.keras.layers, value["layer_class"])
        if isinstance(value, dict)
        else value
        for name, value in row.kwargs.items()
    }
    return layer_class(**kwargs, **options)


def _feature_positions(row):
    return [i for i, name in enumerate(row.inputs) if "lengths" not in name]


def _call_arguments(row, tensors):
    options = {}
    if row.training is not None:
        options["training"] = row.training
    if row.masks is not None:
        options["mask"] = row.masks[0] if row.single_input else row.masks
        # BiLSTM ignores `mask` and uses the one that Embedding attaches.
        for tensor, mask in zip(tensors, row.masks, strict=True):
            tensor._keras_mask = mask
    return tensors[0] if row.single_input else tensors, options


def _draw_weight(rng, variable):
    shape = tuple(variable.shape)
    if "moving_variance" in variable.name:
        return rng.uniform(0.5, 1.5, shape).astype("float32")
    scale = 0.5 if len(shape) < 2 else shape[0] ** -0.5
    return (scale * rng.normal(size=shape)).astype("float32")


def _draw_cotangent(rng, output, row):
    cotangent = rng.normal(size=tuple(output.shape)).astype("float32")
    if row.output_mask is not None:
        cotangent[~row.output_mask] = 0.0
    return cotangent


def _inner_product(outputs, cotangents):
    pairs = zip(outputs, cotangents, strict=True)
    return tf.add_n([tf.reduce_sum(left * right) for left, right in pairs])
