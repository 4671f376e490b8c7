"""Compute a case on the current backend."""

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
    """Compute a case on this backend.

    Args:
        case: the case to compute.
        dtype: the dtype policy to compute it under.
        kind: "forward" or "forward_compiled" for the outputs; "gradients" or
            "gradients_compiled" for the gradients of `sum(outputs * c)`, where
            `c` is random with a fixed seed, with respect to floating-point
            inputs and trainable weights; "fit" for the losses and weights of
            20 training steps.

    Returns:
        A dict of backend tensors by name.

    Raises:
        ValueError: if an argument is invalid, or `build` does not return what
            `Case` requires.
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
        # Built again, since the forward pass may have updated statistics.
        layer, inputs, kwargs = built(case, dtype)
        gradients = probes.gradients(
            layer, inputs, kwargs, cotangents, compiled
        )
        return name_gradients(layer, *gradients)


def reference_values(case: Case, dtype: str, kind: str) -> dict[str, Any]:
    """Compute the float64 reference of a case.

    The reference receives the case's numbers, rounded to the dtype. Only the
    shapes and the order of the weights come from the backend.

    Args:
        case: the case to compute.
        dtype: the dtype policy, as for `measure`.
        kind: the computation, as for `measure`.

    Returns:
        A dict of arrays by name, which is empty if the case has no reference.

    Raises:
        ValueError: if an argument is invalid, or the reference does not return
            real arrays with the shapes of the layer's outputs.
    """
    _check(case, dtype, kind)
    if case.reference is None or kind == "fit":
        return {}
    with dtype_scope(dtype):
        layer, arrays, kwargs = _build_arrays(case, dtype)
        inputs = flatten(arrays)
        weights = [
            np.asarray(ops.convert_to_numpy(w.value)).astype("float64")
            for w in _weights(layer)
        ]
        arguments = _to_tensors(arrays, dtype), _to_tensors(kwargs, dtype)
        outputs = probes.forward(layer, *arguments, compiled=False)
    references = _check_reference(
        f"reference of case {case.name!r}",
        flatten(case.reference(inputs, weights)),
        [tuple(x.shape) for x in outputs],
    )
    if kind.startswith("forward"):
        return name_outputs(references)
    input_gradients, weight_gradients = complex_step_gradients(
        case.reference, inputs, weights, cotangents_of(references, dtype)
    )
    return name_gradients(
        layer,
        [g for g in input_gradients if g is not None],
        [
            g
            for g, w in zip(weight_gradients, _weights(layer), strict=True)
            if w.trainable
        ],
    )


def _check_reference(
    name: str, outputs: list[Any], shapes: list[tuple[int, ...]]
) -> list[Any]:
    """Validate the outputs of a reference and return them as arrays.

    A record with None could not be loaded, and outputs of other shapes would
    give the gradients of a different function.
    """
    arrays = [np.asarray(x) for x in outputs]
    real = all(map(is_real, arrays))
    if not real or [array.shape for array in arrays] != shapes:
        received = [
            Unquoted(f"{x.dtype} of shape {x.shape}")
            if hasattr(x, "dtype")
            else x
            for x in outputs
        ]
        expected = f"real arrays with the layer's output shapes {shapes}"
        raise_invalid(name, expected, received)
    return arrays


def _check(case: Case, dtype: str, kind: str) -> None:
    check_instance("case", case, Case, "a Case")
    check_one_of("dtype", dtype, DTYPES)
    check_one_of("kind", kind, KINDS)


# Keras's floatx is global to the process; its dtype policy, to the thread.
_dtype_lock = threading.RLock()


@contextlib.contextmanager
def dtype_scope(dtype: str) -> Iterator[None]:
    """Set Keras's default dtype in a `with` block, and restore it at the end.

    Only one thread at a time can be in such a block, but the floatx that it
    sets is visible in all threads.
    """
    with _dtype_lock, contextlib.ExitStack() as stack:
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


def _build_arrays(case: Case, dtype: str) -> tuple[Any, Any, dict[str, Any]]:
    """Build a case: its layer with seeded weights, and its arguments.

    Floating-point arrays are float64, rounded to the dtype.
    """
    layer, inputs, kwargs = _call_build(case)

    def rounded_array(x: Any) -> Any:
        if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
            return x
        return rounded(x.astype("float64"), dtype)

    inputs = keras.tree.map_structure(rounded_array, inputs)
    kwargs = {name: rounded_array(value) for name, value in kwargs.items()}
    if isinstance(layer, keras.Layer):
        if not layer.built:  # calling a layer builds it
            layer(_to_tensors(inputs, dtype), **_to_tensors(kwargs, dtype))
        seed_weights(layer)
    return layer, inputs, kwargs


def _call_build(case: Case) -> tuple[Any, Any, dict[str, Any]]:
    """Return a new layer, inputs and keyword arguments of a case."""
    match result := case.build():
        case (layer, inputs) if callable(layer):
            return layer, inputs, {}
        case (layer, inputs, Mapping() as kwargs) if callable(layer):
            return layer, inputs, dict(kwargs)
    raise_invalid(
        f"build of case {case.name!r}",
        "(layer, inputs) or (layer, inputs, keyword arguments)",
        describe_inputs(result),
    )


def built(case: Case, dtype: str) -> tuple[Any, Any, dict[str, Any]]:
    """Build a case like `_build_arrays`, with tensors instead of arrays."""
    layer, inputs, kwargs = _build_arrays(case, dtype)
    return layer, _to_tensors(inputs, dtype), _to_tensors(kwargs, dtype)


def _to_tensors(arrays: Any, dtype: str) -> Any:
    """Convert arrays to tensors, floating-point ones with the dtype."""

    def tensor(x: Any) -> Any:
        if not isinstance(x, np.ndarray):
            return x
        return ops.convert_to_tensor(
            x, dtype=dtype if x.dtype.kind == "f" else None
        )

    return keras.tree.map_structure(tensor, arrays)


def _weights(layer: Any) -> list[Any]:
    """Return the weights of a layer; a function has none."""
    return list(getattr(layer, "weights", []))


def name_outputs(outputs: list[Any]) -> dict[str, Any]:
    return {f"output {i}": output for i, output in enumerate(outputs)}


def name_gradients(
    layer: Any, input_gradients: list[Any], weight_gradients: list[Any]
) -> dict[str, Any]:
    named = {f"input {i}": g for i, g in enumerate(input_gradients)}
    trainable = [w for w in _weights(layer) if w.trainable]
    for i, (w, g) in enumerate(zip(trainable, weight_gradients, strict=True)):
        named[f"weight {i} {w.name}"] = g
    return named
