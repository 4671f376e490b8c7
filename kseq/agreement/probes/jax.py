"""JAX: eager, or compiled by XLA."""

import contextlib
from typing import Any

import jax
import keras

from kseq.agreement import probes


def float64() -> contextlib.AbstractContextManager[None]:
    return jax.enable_x64(True)


def device() -> str:
    return "cpu" if jax.default_backend() == "cpu" else "gpu"


def devices() -> list[str]:
    return [device.device_kind for device in jax.devices()]


def forward(function: Any, args: Any, kwargs: Any, compiled: bool) -> Any:
    if not compiled:
        return function(*args, **kwargs)
    call, tensors = _pure(function, args, kwargs)
    structure = []

    def flat(*arguments: Any) -> Any:
        outputs = call(*arguments)
        # Outputs may be structures that JAX does not know.
        structure.append(keras.tree.map_structure(lambda x: None, outputs))
        return keras.tree.flatten(outputs)

    outputs = jax.jit(flat)(*_state(function), tensors)
    return keras.tree.pack_sequence_as(structure[-1], outputs)


def gradients(
    function: Any, args: Any, kwargs: Any, cotangents: Any, compiled: bool
) -> list[tuple[list[Any], list[Any]]]:
    call, tensors = _pure(function, args, kwargs)
    trainable, others = _state(function)
    positions = [i for i, x in enumerate(tensors) if probes.is_float(x)]

    def outputs_of(features: Any, trainable: Any) -> list[Any]:
        filled = list(tensors)
        for i, feature in zip(positions, features, strict=True):
            filled[i] = feature
        outputs = keras.tree.flatten(call(trainable, others, filled))
        return [
            output
            for output, cotangent in zip(outputs, cotangents, strict=True)
            if cotangent is not None
        ]

    def gradient(features: Any, trainable: Any, cotangents: Any) -> Any:
        # Each output alone: with a cotangent of 0, an infinite derivative of
        # another output would be NaN.
        def output(i: int) -> Any:
            return lambda *arguments: outputs_of(*arguments)[i]

        pull_backs = [
            jax.vjp(output(i), features, trainable)[1]
            for i in range(len(cotangents))
        ]

        def pull_back_each(pull_backs: Any, cotangents: Any) -> Any:
            return [
                pull_back(c)
                for pull_back, c in zip(pull_backs, cotangents, strict=True)
            ]

        # One compilation; those of its operations, each alone, take longer.
        return jax.jit(pull_back_each)(pull_backs, cotangents)

    if compiled:
        gradient = jax.jit(gradient)
    features = [tensors[i] for i in positions]
    given = [c for c in cotangents if c is not None]
    found = gradient(features, trainable, given)
    return [(list(a), list(b)) for a, b in found]


def narrowed(function: Any, args: Any, kwargs: Any) -> list[str]:
    call, tensors = _pure(function, args, kwargs)
    jaxpr = jax.make_jaxpr(
        lambda *arguments: keras.tree.flatten(call(*arguments))
    )(*_state(function), tensors)
    return sorted({*_narrowing(jaxpr.jaxpr)} - {""})


def _narrowing(jaxpr: Any) -> Any:
    for equation in jaxpr.eqns:
        for x, y in zip(equation.invars, equation.outvars, strict=False):
            before = getattr(x.aval, "dtype", None)
            after = getattr(y.aval, "dtype", None)
            if before == "float64" and after == "float32":
                yield _keras_function(equation.source_info.traceback)
        for inner in jax.core.jaxprs_in_params(equation.params):
            yield from _narrowing(inner)


def _keras_function(traceback: Any) -> str:
    frames = traceback.frames if traceback else ()
    return probes.keras_function(
        (frame.file_name, frame.function_name) for frame in frames
    )


def _state(function: Any) -> tuple[list[Any], list[Any]]:
    if not isinstance(function, keras.Layer):
        return [], []
    return (
        [v.value for v in function.trainable_variables],
        [v.value for v in function.non_trainable_variables],
    )


def _pure(function: Any, args: Any, kwargs: Any) -> tuple[Any, list[Any]]:
    """Return a pure function of variables and tensors, and the tensors."""
    flat = keras.tree.flatten((args, kwargs))
    positions = [i for i, x in enumerate(flat) if keras.ops.is_tensor(x)]

    def call(trainable: Any, others: Any, tensors: Any) -> Any:
        filled = list(flat)
        for i, tensor in zip(positions, tensors, strict=True):
            filled[i] = tensor
        packed = keras.tree.pack_sequence_as((args, kwargs), filled)
        if not isinstance(function, keras.Layer):
            return function(*packed[0], **packed[1])
        outputs, _ = function.stateless_call(
            trainable, others, *packed[0], **packed[1]
        )
        return outputs

    return call, [flat[i] for i in positions]
