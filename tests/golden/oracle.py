"""Run DeepCTR 0.9.4: the results of a layer's cases, and of its `Hash`."""

from __future__ import annotations

import multiprocessing
import os
import platform
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

# oneDNN selects kernels, and so the rounding, by the kind of CPU.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import deepctr
import numpy as np
import tensorflow as tf  # noqa: TID251
from deepctr.layers import activation, core, sequence, utils
from load import Case

tf.get_logger().setLevel("ERROR")  # no deprecation warnings

MODULES = {"Dice": activation, "DNN": core, "LocalActivationUnit": core}


def versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
        "deepctr": deepctr.__version__,
    }


def run_layer(layer_name: str, cases: list[Case]) -> list[Case]:
    """Return the cases with DeepCTR's results; what they lack is drawn."""
    if layer_name == "DynamicGRU":
        return in_new_process(_run_in_graphs, cases)
    return [_run_eagerly(layer_name, case) for case in cases]


def hash_ids(ids, buckets, mask_zero):
    ids = ids.astype(object) if ids.dtype.kind == "U" else ids
    return utils.Hash(buckets, mask_zero)(tf.constant(ids)).numpy()


def in_new_process(function, *arguments):
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


def _run_eagerly(layer_name, case):
    tf.keras.backend.clear_session()  # weight names count layers from zero
    layer = _make(layer_name, case)
    tensors = [tf.constant(array) for array in case.inputs.values()]
    watched = [tensors[i] for i in _features(case)]
    arguments, options = _call_arguments(case, tensors)

    layer(arguments, **options)  # builds the weights
    if not case.initial_weights:
        layer.set_weights(case.weights or list(map(draw, layer.weights)))
    weights = layer.get_weights()
    trained = [i for i, w in enumerate(layer.weights) if w.trainable]

    with tf.GradientTape() as tape:
        tape.watch(watched)
        outputs = tf.nest.flatten(layer(arguments, **options))
        cotangents = case.cotangents or [_normal(y.shape) for y in outputs]
        objective = _inner_product(outputs, cotangents)
    gradients = tape.gradient(
        objective,
        watched + [layer.weights[i] for i in trained],
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    dense = [tf.convert_to_tensor(gradient).numpy() for gradient in gradients]
    return _completed(
        case,
        layer.weights,
        (weights, layer.get_weights()),
        [output.numpy() for output in outputs],
        cotangents,
        dense[: len(watched)],
        dict(zip(trained, dense[len(watched) :], strict=True)),
    )


def _completed(
    case, variables, weights, outputs, cotangents, grad_inputs, grad_weights
):
    names = list(case.inputs)
    names = [names[i] for i in _features(case)]
    before, after = weights
    pairs = zip(before, after, strict=True)
    changed = any(not np.array_equal(*pair) for pair in pairs)
    return replace(
        case,
        weight_names=[variable.name for variable in variables],
        trainable=[i in grad_weights for i in range(len(before))],
        weights=before,
        weights_after=after if changed else None,
        outputs=outputs,
        cotangents=cotangents,
        grad_inputs=dict(zip(names, grad_inputs, strict=True)),
        grad_weights=[grad_weights.get(i) for i in range(len(before))],
    )


def _run_in_graphs(cases):
    """Run DynamicGRU, whose loop runs in a graph only in TensorFlow 2."""
    use_graphs()
    return [_run_in_graph(case) for case in cases]


def use_graphs():
    tf.compat.v1.disable_eager_execution()
    tf.compat.v1.experimental.output_all_intermediates(True)


def _run_in_graph(case):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        layer = _make("DynamicGRU", case, name="dynamic_gru")
        tensors = [tf.constant(array) for array in case.inputs.values()]
        output = layer(tensors)
        # layer.weights is empty for AGRU and AUGRU.
        variables = tf.compat.v1.global_variables()
        weights = case.weights or list(map(draw, variables))
        cotangents = case.cotangents or [_normal(output.shape)]
        gradients = [
            tf.gradients(
                _inner_product([output], cotangents),
                sources,
                unconnected_gradients=tf.UnconnectedGradients.ZERO,
            )
            for sources in ([tensors[i] for i in _features(case)], variables)
        ]
        for variable, weight in zip(variables, weights, strict=True):
            session.run(tf.compat.v1.assign(variable, weight))
        result, (grad_inputs, grad_weights), after = session.run(
            [output, gradients, variables]
        )
        found = [result], cotangents, grad_inputs, dict(enumerate(grad_weights))
        return _completed(case, variables, (weights, after), *found)


def _make(layer_name, case, **options):
    layer_class = getattr(MODULES.get(layer_name, sequence), layer_name)
    kwargs = {
        name: getattr(tf.keras.layers, value["layer_class"])
        if isinstance(value, dict)
        else value
        for name, value in case.kwargs.items()
    }
    return layer_class(**kwargs, **options)


def _features(case):
    return [i for i, name in enumerate(case.inputs) if "lengths" not in name]


def _call_arguments(case, tensors):
    options = {}
    if case.training is not None:
        options["training"] = case.training
    if case.masks is not None:
        options["mask"] = case.masks[0] if case.single_input else case.masks
        # BiLSTM ignores `mask` and uses the one that Embedding attaches.
        for tensor, mask in zip(tensors, case.masks, strict=True):
            tensor._keras_mask = mask
    return tensors[0] if case.single_input else tensors, options


def _normal(shape):
    return np.random.normal(size=tuple(shape)).astype("float32")


def draw(variable):
    """Draw a new case's weight, also of its biases and statistics."""
    shape = tuple(variable.shape)
    if "moving_variance" in variable.name:
        return np.random.uniform(0.5, 1.5, shape).astype("float32")
    return (0.5 if len(shape) < 2 else shape[0] ** -0.5) * _normal(shape)


def _inner_product(outputs, cotangents):
    pairs = zip(outputs, cotangents, strict=True)
    return tf.add_n([tf.reduce_sum(left * right) for left, right in pairs])
