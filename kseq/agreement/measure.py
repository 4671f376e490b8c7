"""Computes a case on the backend in use."""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from kseq.agreement import probes
from kseq.agreement.cases import Case
from kseq.agreement.fit import fit
from kseq.agreement.numbers import cotangents_of, rounded, seed_weights
from kseq.agreement.reference import complex_step_gradients, flatten
from kseq.agreement.tables import DTYPES, KINDS
from kseq.checks import (
    Unquoted,
    check_instance,
    check_one_of,
    describe_inputs,
    is_real,
    raise_invalid,
)


def measure(case: Case, dtype: str, kind: str) -> dict[str, Any]:
    """What a case gives on this backend.

    Args:
        case: what to compute.
        dtype: the dtype policy to compute it under.
        kind: "forward", "forward_compiled": the outputs; "gradients",
            "gradients_compiled": the gradients of `sum(outputs * c)`, `c` from
            a fixed random generator, for inputs of floats and trainable
            weights; "fit": losses and weights of 20 steps of training.

    Returns:
        Tensors of the backend by name.

    Raises:
        ValueError: `case` is no case, `dtype` no dtype or `kind` no kind of
            those that are compared, or `build` makes something else than a
            `Case` says.
    """
    _check(case, dtype, kind)
    with dtype_scope(dtype):
        layer, inputs, kwargs = built(case, dtype)
        compiled = kind.endswith("_compiled")
        if kind == "fit":
            return fit(layer, inputs, kwargs, dtype)
        if kind.startswith("forward"):
            return name_outputs(probes.forward(layer, inputs, kwargs, compiled))
        outputs = probes.forward(layer, inputs, kwargs, compiled=False)
        cotangents = [
            ops.cast(ops.convert_to_tensor(c), output.dtype)
            for c, output in zip(
                cotangents_of(outputs, dtype), outputs, strict=True
            )
        ]
        # Anew: the forward pass may have moved statistics.
        layer, inputs, kwargs = built(case, dtype)
        of_inputs, of_weights = probes.gradients(
            layer, inputs, kwargs, cotangents, compiled
        )
        return name_gradients(layer, of_inputs, of_weights)


def reference_values(case: Case, dtype: str, kind: str) -> dict[str, Any]:
    """What the case's float64 reference gives; empty where there is none.

    It is given what a dtype can hold of the case's numbers. Only the shapes
    and the order of its weights are the backend's.

    Args are `measure`'s.

    Raises:
        ValueError: as `measure`, or the reference gives something else than
            real numbers in the shapes of the layer's outputs.
    """
    _check(case, dtype, kind)
    if case.reference is None or kind == "fit":
        return {}
    with dtype_scope(dtype):
        layer, arrays, kwargs = _anew(case, dtype)
        inputs = flatten(arrays)
        weights = [
            np.asarray(ops.convert_to_numpy(w.value)).astype("float64")
            for w in weights_of(layer)
        ]
        called = _tensors(arrays, dtype), _tensors(kwargs, dtype)
        expected = probes.forward(layer, *called, compiled=False)
    given = flatten(case.reference(inputs, weights))
    outputs = _outputs_like(expected, given, f"reference of case {case.name!r}")
    if kind.startswith("forward"):
        return name_outputs(outputs)
    of_inputs, of_weights = complex_step_gradients(
        case.reference, inputs, weights, cotangents_of(outputs, dtype)
    )
    trainable = [
        gradient
        for gradient, weight in zip(of_weights, weights_of(layer), strict=True)
        if weight.trainable
    ]
    return name_gradients(
        layer, [g for g in of_inputs if g is not None], trainable
    )


def _outputs_like(
    expected: list[Any], given: list[Any], name: str
) -> list[Any]:
    """What a reference gave as arrays, if they are what the layer gives.

    With None among them no one could read the record, and of other shapes the
    gradients would be those of another function.
    """
    arrays = [np.asarray(x) for x in given]
    shapes = [tuple(x.shape) for x in expected]
    real = all(map(is_real, arrays))
    if not real or [array.shape for array in arrays] != shapes:
        told = [
            Unquoted(f"{x.dtype} of shape {x.shape}")
            if hasattr(x, "dtype")
            else x
            for x in given
        ]
        raise_invalid(
            name, f"real numbers of the layer's output shapes {shapes}", told
        )
    return arrays


def _check(case: Case, dtype: str, kind: str) -> None:
    check_instance("case", case, Case, "a Case")
    check_one_of("dtype", dtype, DTYPES)
    check_one_of("kind", kind, KINDS)


# Keras's floatx is the whole process's; a dtype policy is its thread's.
_one_dtype_at_a_time = threading.RLock()


@contextlib.contextmanager
def dtype_scope(dtype: str) -> Iterator[None]:
    """Keras's defaults set to a dtype, and put back afterwards.

    Other threads wait for their turn. What reads `keras.config.floatx()` in a
    thread without a scope of its own sees this one's.
    """
    with _one_dtype_at_a_time, contextlib.ExitStack() as stack:
        policy, floatx = keras.config.dtype_policy(), keras.config.floatx()
        if dtype == "float64":
            stack.enter_context(probes.float64())
            keras.config.set_floatx("float64")
        keras.config.set_dtype_policy(dtype)
        try:
            yield
        finally:
            keras.config.set_floatx(floatx)
            keras.config.set_dtype_policy(policy)


def _anew(case: Case, dtype: str) -> tuple[Any, Any, dict[str, Any]]:
    """The case's layer, built and with its weights, and its arrays.

    Floats are in float64, rounded to what the dtype can hold.
    """
    layer, inputs, kwargs = _made(case)

    def held(x: Any) -> Any:
        if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
            return x
        return rounded(x.astype("float64"), dtype)

    inputs = keras.tree.map_structure(held, inputs)
    kwargs = {name: held(value) for name, value in kwargs.items()}
    if isinstance(layer, keras.Layer):
        if not layer.built:  # a call builds any layer
            layer(_tensors(inputs, dtype), **_tensors(kwargs, dtype))
        seed_weights(layer)
    return layer, inputs, kwargs


def _made(case: Case) -> tuple[Any, Any, dict[str, Any]]:
    """The layer, inputs and keyword arguments of a case, anew."""
    match made := case.build():
        case (layer, inputs) if callable(layer):
            return layer, inputs, {}
        case (layer, inputs, Mapping() as kwargs) if callable(layer):
            return layer, inputs, dict(kwargs)
    raise_invalid(
        f"build of case {case.name!r}",
        "(layer, inputs) or (layer, inputs, keyword arguments)",
        describe_inputs(made),
    )


def built(case: Case, dtype: str) -> tuple[Any, Any, dict[str, Any]]:
    """As `_anew`, with tensors of the dtype for arrays."""
    layer, inputs, kwargs = _anew(case, dtype)
    return layer, _tensors(inputs, dtype), _tensors(kwargs, dtype)


def _tensors(arrays: Any, dtype: str) -> Any:
    """Tensors for arrays, those of floats in a dtype; the rest as it is."""

    def tensor(x: Any) -> Any:
        if not isinstance(x, np.ndarray):
            return x
        return ops.convert_to_tensor(
            x, dtype=dtype if x.dtype.kind == "f" else None
        )

    return keras.tree.map_structure(tensor, arrays)


def weights_of(layer: Any) -> list[Any]:
    """A layer's weights; none of a function."""
    return list(getattr(layer, "weights", []))


def name_outputs(outputs: list[Any]) -> dict[str, Any]:
    return {f"output {i}": output for i, output in enumerate(outputs)}


def name_gradients(
    layer: Any, of_inputs: list[Any], of_weights: list[Any]
) -> dict[str, Any]:
    named = {f"input {i}": g for i, g in enumerate(of_inputs)}
    trainable = [w for w in weights_of(layer) if w.trainable]
    for i, (w, g) in enumerate(zip(trainable, of_weights, strict=True)):
        named[f"weight {i} {w.name}"] = g
    return named
