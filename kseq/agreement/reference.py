"""Float64 references, and their gradients by the complex-step method.

For a function composed of analytic operations,

    df/dx = Im f(x + ih) / h + O(h^2).

Nothing is subtracted, so h can be so small (1e-30) that the error term is far
below rounding, and a float64 reference only has to implement the forward pass.
Squire and Trapp, SIAM Review 40 (1998) 110.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from kseq.agreement import probes
from kseq.agreement.computation import (
    Built,
    Computation,
    dtype_scope,
    weights_of,
)
from kseq.agreement.measure import (
    gradient_names,
    in_training,
    named_outputs,
    to_numpy,
)
from kseq.agreement.numbers import cotangent
from kseq.agreement.tables import compute_dtype
from kseq.checks import Unquoted, is_real, raise_invalid

Arrays = list[Any]

STEP = 1e-30


def complex_step_gradients(
    function: Callable[[Arrays], Arrays],
    arrays: Sequence[Any],
    cotangents: Sequence[Any],
) -> Arrays:
    """Compute the gradients of `sum(outputs * cotangents)`.

    Args:
        function: a function of a list of arrays, composed of operations that
            accept complex numbers and compare real parts only.
        arrays: the list of arrays.
        cotangents: one array per output; None ignores the output.

    Returns:
        One gradient per array; None for an array of integers or bools.
    """
    arrays = list(arrays)

    def loss() -> Any:
        return sum(
            np.sum(output * cotangent)
            for output, cotangent in zip(
                function(arrays), cotangents, strict=True
            )
            if cotangent is not None
        )

    def differentiate(i: int) -> Any:
        original = arrays[i]
        if original.dtype.kind != "f":
            return None
        gradient = np.zeros(original.shape)
        arrays[i] = original.astype(complex)
        for index in np.ndindex(original.shape):
            arrays[i][index] += 1j * STEP
            gradient[index] = loss().imag / STEP
            arrays[i][index] = original[index]
        arrays[i] = original
        return gradient

    return [differentiate(i) for i in range(len(arrays))]


def references(
    computation: Computation, policy: str, kind: str
) -> dict[str, Any]:
    """Compute the float64 reference of a computation.

    The reference receives the computation's numbers, rounded to the policy.
    Only names, shapes and the order of the weights come from the backend.

    Args:
        computation: the computation.
        policy: the dtype policy, as for `measure`.
        kind: the computation, as for `measure`.

    Returns:
        Arrays by name; none for "fit" or a computation without a reference.

    Raises:
        ValueError: if the reference does not return real arrays with the
            shapes of the layer's outputs.
    """
    if computation.reference is None or kind == "fit":
        return {}
    key = f"reference {policy} {kind.removesuffix('_compiled')}"
    if key not in computation.cache:
        computation.cache[key] = _references(computation, policy, kind)
    return dict(computation.cache[key])


def _references(
    computation: Computation, policy: str, kind: str
) -> dict[str, Any]:
    with dtype_scope(policy):
        if kind == "training":
            computation = in_training(computation)
        built = computation.built(policy)
        function, arrays = reference_function(computation, policy, built)
        symbols = named_outputs(
            probes.forward(built.function, built.args, built.kwargs, False)
        )
        outputs = _check_reference(
            function(arrays), [tuple(x.shape) for _, x in symbols]
        )
        named = {n: y for (n, _), y in zip(symbols, outputs, strict=True)}
        if not kind.startswith("gradients"):
            return named
        floats = [name for name, x in symbols if probes.is_float(x)]
        names = gradient_names(computation, built)
        trainable = [w.trainable for w in weights_of(built.function)]
        inputs = arrays[: len(arrays) - len(trainable)]
        keep = [*(x.dtype.kind == "f" for x in inputs), *trainable]
        found: dict[str, Any] = {}
        for name in floats:
            cotangents = [
                cotangent(i, y.shape, compute_dtype(policy))
                if other == name
                else None
                for i, (other, y) in enumerate(named.items())
            ]
            gradients = complex_step_gradients(function, arrays, cotangents)
            suffix = "" if len(floats) == 1 else f" of {name}"
            kept = (g for g, k in zip(gradients, keep, strict=True) if k)
            found |= {
                f"{n}{suffix}": g for n, g in zip(names, kept, strict=True)
            }
        return found


def reference_function(
    computation: Computation, policy: str, built: Built
) -> tuple[Any, list[Any]]:
    """Return the reference as a function of a list of arrays, and the list."""
    arguments = computation.arrays(policy)
    flat = keras.tree.flatten(arguments)
    positions = [i for i, x in enumerate(flat) if isinstance(x, np.ndarray)]
    weights = [
        np.asarray(to_numpy(w.value)).astype("float64")
        for w in weights_of(built.function)
    ]
    reference = computation.reference
    assert reference is not None
    weights_parameter = inspect.signature(reference).parameters.get("weights")
    takes_weights = weights_parameter is not None and (
        weights_parameter.kind != inspect.Parameter.VAR_POSITIONAL
    )

    def function(arrays: list[Any]) -> list[Any]:
        filled = list(flat)
        for i, x in zip(positions, arrays, strict=False):
            filled[i] = x
        args, kwargs = keras.tree.pack_sequence_as(arguments, filled)
        if takes_weights:
            kwargs = {**kwargs, "weights": arrays[len(positions) :]}
        return list(keras.tree.flatten(reference(*args, **kwargs)))

    return function, [*(flat[i] for i in positions), *weights]


def _check_reference(
    outputs: list[Any], shapes: list[tuple[int, ...]]
) -> list[Any]:
    """Validate the outputs of a reference and return them as arrays."""
    arrays = [np.asarray(x) for x in outputs]
    real = all(map(is_real, arrays))
    if not real or [array.shape for array in arrays] != shapes:
        received = [Unquoted(f"{x.dtype} of shape {x.shape}") for x in arrays]
        expected = f"real arrays with the layer's output shapes {shapes}"
        raise_invalid("reference", expected, received)
    return arrays
