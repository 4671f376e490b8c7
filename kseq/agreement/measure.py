"""Compute one kind of a computation on the current backend."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import ops

from kseq.agreement import probes
from kseq.agreement.computation import (
    Built,
    Computation,
    dtype_scope,
    weights_of,
)
from kseq.agreement.fit import fit
from kseq.agreement.numbers import cotangent, name_of
from kseq.agreement.tables import (
    KINDS,
    POLICIES,
    compute_dtype,
    left_out,
)
from kseq.checks import (
    check_instance,
    check_one_of,
    is_real,
    raise_invalid,
)

NAMED = "named tuple"
NO_MASKS = "outputs carry no masks"
CALLS = 3  # a fault can show from the second or third call on


class LeftOutError(Exception):
    """A computation has no results, for the reason in the message."""


@dataclass
class Measured:
    """The results of a computation.

    Args:
        values: arrays by name; None for a gradient that does not exist.
        facts: texts by name, such as dtypes and the structure of the outputs.
        changed: the names of arguments that the call changed in place.
    """

    values: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)

    def add(self, name: str, value: Any) -> None:
        """Add a tensor; a complex one as its real and imaginary parts."""
        if value is None:
            self.values[name] = None
            return
        array = to_numpy(value)
        if array.dtype.kind == "c":
            self.add(f"{name} (real part)", array.real)
            self.add(f"{name} (imaginary part)", array.imag)
            return
        if not is_real(array):
            raise_invalid(name, "an array of numbers", array.dtype.name)
        self.values[name] = array
        self.facts[f"{name} dtype"] = dtype_fact(value)


def dtype_fact(x: Any) -> str:
    """Return the dtype of a tensor; 32 bits for integers of 64.

    JAX has integers of 64 bits only where float64 is enabled.
    """
    dtype = str(keras.backend.standardize_dtype(x.dtype))
    return dtype.replace("int64", "int32")


def to_numpy(value: Any) -> Any:
    """Convert a tensor to an array that a file can store.

    Bfloat16 becomes float32.
    """
    if keras.backend.standardize_dtype(value.dtype) == "bfloat16":
        value = ops.cast(value, "float32")
    return np.array(ops.convert_to_numpy(value))


def measure(
    computation: Computation,
    policy: str,
    kind: str,
    change: Callable[[int, Any], Any] | None = None,
) -> Measured:
    """Compute one kind of a computation on this backend.

    Args:
        computation: the computation.
        policy: the dtype policy to compute it under.
        kind: "forward" for outputs, masks, losses and state of three calls;
            "training" for the same with `training=True`; "forward_compiled"
            for the outputs of a compiled call; "gradients" or
            "gradients_compiled" for the gradients of $\\sum_j y_j c_j$ of each
            floating-point output $y$, with random $c$ that are the same in
            every process, for floating-point arguments and trainable weights;
            "fit" for the losses and weights of 20 training steps.
        change: see `Computation.built`.

    Returns:
        The results.

    Raises:
        ValueError: if an argument is invalid.
        LeftOutError: if there is nothing to compute, or this backend cannot.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> from kseq.agreement import Computation, measure
        >>> computation = Computation(keras.ops.square, [np.array([1.0, 2.0])])
        >>> measured = measure(computation, "float32", "gradients")
        >>> [(name, x.shape) for name, x in measured.values.items()]
        [('x', (2,))]
    """
    _check(computation, policy, kind)
    if reason := left_out(keras.backend.backend(), kind, policy):
        raise LeftOutError(reason)
    with dtype_scope(policy):
        if kind == "training":
            computation = in_training(computation)
        if kind == "fit":
            return _fit(computation, policy, change)
        if kind.startswith("gradients"):
            compiled = kind.endswith("_compiled")
            return _gradients(computation, policy, compiled, change)
        if kind.endswith("_compiled"):
            built = computation.built(policy, change)
            outputs = probes.forward(
                built.function, built.args, built.kwargs, compiled=True
            )
            if is_random(computation, policy):
                raise LeftOutError(RANDOM)
            # Without masks, which compiled functions do not return.
            measured = Measured(facts={"structure": structure(outputs)})
            for name, output in named_outputs(outputs):
                measured.add(name, output)
            return measured
        return _forward(computation, policy, change)


RANDOM = "random numbers are drawn, which differ between backends"


def in_training(computation: Computation) -> Computation:
    """Return the computation with `training=True`, if it takes that."""
    makes_layer = computation.is_layer
    if not makes_layer or "training" in computation.kwargs:
        raise LeftOutError("no argument `training`, or it is given")
    layer = computation.function
    if not isinstance(layer, keras.Layer):
        layer = layer.func  # type: ignore[attr-defined]
    if not _takes_training(layer):
        raise LeftOutError("no argument `training`")
    kwargs = {**computation.kwargs, "training": True}
    return Computation(
        computation.function, computation.args, kwargs, computation.reference
    )


def _takes_training(layer: Any) -> bool:
    # A model passes `training` to its layers.
    if isinstance(layer, keras.Model):
        return True
    return "training" in inspect.signature(layer.call).parameters


def is_random(computation: Computation, policy: str) -> bool:
    """Return whether a call draws random numbers from a seed generator."""
    if not computation.is_layer:
        return False
    if "random" in computation.cache:
        return bool(computation.cache["random"])
    built = computation.built(policy)
    seeds = [v for v in built.function.variables if _is_seed(v)]
    before = [to_numpy(v.value) for v in seeds]
    calls = []
    for _ in range(2 if seeds else 0):
        # PyTorch draws some numbers without a seed generator.
        outputs = probes.forward(
            built.function, built.args, built.kwargs, compiled=False
        )
        calls.append([to_numpy(x) for _, x in named_outputs(outputs)])
        built = computation.built(policy)
    after = [to_numpy(v.value) for v in seeds]
    pairs = [*zip(before, after, strict=True), *zip(*calls, strict=True)]
    random = not all(
        np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in pairs
    )
    computation.cache["random"] = random
    return random


def _is_seed(variable: Any) -> bool:
    return "seed_generator" in variable.path


def _forward(
    computation: Computation, policy: str, change: Any = None
) -> Measured:
    if is_random(computation, policy):
        raise LeftOutError(RANDOM)
    built = computation.built(policy, change)
    measured = Measured()
    flat = keras.tree.flatten((built.args, built.kwargs))
    before = [to_numpy(x) if ops.is_tensor(x) else None for x in flat]
    for number in range(1, CALLS + 1 if change is None else 2):
        outputs = probes.forward(
            built.function, built.args, built.kwargs, compiled=False
        )
        if number in (1, CALLS):
            suffix = "" if number == 1 else f" of call {number}"
            _add_outputs(measured, outputs, suffix)
            _add_state(measured, built, suffix)
    for name, x, array in zip(computation.names(), flat, before, strict=True):
        if array is not None and not np.array_equal(
            to_numpy(x), array, equal_nan=array.dtype.kind == "f"
        ):
            measured.changed.append(name)
    return measured


def _add_outputs(measured: Measured, outputs: Any, suffix: str = "") -> None:
    measured.facts[f"structure{suffix}"] = structure(outputs)
    for name, output in named_outputs(outputs):
        measured.add(f"{name}{suffix}", output)
        if isinstance(output, np.ndarray):  # which cannot carry a mask
            measured.facts[NO_MASKS] = "true"
        mask = getattr(output, "_keras_mask", None)
        if mask is not None:
            measured.add(f"mask of {name}{suffix}", mask)


def _add_state(measured: Measured, built: Built, suffix: str) -> None:
    """Add masks, losses and variables after a call."""
    layer = built.function
    if not isinstance(layer, keras.Layer):
        return
    mask = built.kwargs.get("mask")
    overridden = type(layer).compute_mask is not keras.Layer.compute_mask
    if mask is not None and overridden and not suffix and built.args:
        computed = layer.compute_mask(built.args[0], mask)
        for i, x in enumerate(keras.tree.flatten(computed)):
            if x is not None:
                measured.add(f"compute_mask {i}", x)
    for i, loss in enumerate(layer.losses):
        measured.add(f"loss {i}{suffix}", loss)
    # Keras's recurrent layers do not list their states as variables.
    states = [
        v
        for inner in layer._flatten_layers()
        if getattr(inner, "stateful", False)
        for v in keras.tree.flatten(getattr(inner, "states", None))
        if v is not None
    ]
    for i, v in enumerate([*layer.non_trainable_variables, *states]):
        if not _is_seed(v):
            measured.add(f"state {i} {name_of(v)}{suffix}", v.value)


def structure(outputs: Any) -> str:
    """Describe nested lists, tuples and dicts of outputs."""
    if isinstance(outputs, dict):
        items = [f"{key!r}: {structure(outputs[key])}" for key in outputs]
        return "{" + ", ".join(items) + "}"
    if isinstance(outputs, list | tuple):
        inner = ", ".join(structure(x) for x in outputs)
        # A type such as torch.return_types.topk.
        is_named = isinstance(outputs, tuple) and type(outputs) is not tuple
        kind = "list" if isinstance(outputs, list) else "tuple"
        return f"{NAMED if is_named else kind}({inner})"
    return "None" if outputs is None else "tensor"


def named_outputs(outputs: Any) -> list[tuple[str, Any]]:
    """Return the output tensors with their paths as names."""
    return [
        (" ".join(["output", "/".join(map(str, path))]).strip(), x)
        for path, x in keras.tree.flatten_with_path(outputs)
        if x is not None
    ]


def _gradients(
    computation: Computation, policy: str, compiled: bool, change: Any = None
) -> Measured:
    if is_random(computation, policy):
        raise LeftOutError(RANDOM)
    built = computation.built(policy, change)
    outputs = named_outputs(
        probes.forward(built.function, built.args, built.kwargs, False)
    )
    # Built again, since the forward pass may have updated statistics.
    built = computation.built(policy, change)
    arguments = gradient_names(computation, built)
    cotangents = [
        ops.cast(
            ops.convert_to_tensor(
                _cotangent(i, x.shape, compute_dtype(policy), change)
            ),
            x.dtype,
        )
        if probes.is_float(x)
        else None
        for i, (_, x) in enumerate(outputs)
    ]
    if not arguments or not any(c is not None for c in cotangents):
        raise LeftOutError("nothing to differentiate")
    found = probes.gradients(
        built.function, built.args, built.kwargs, cotangents, compiled
    )
    measured = Measured()
    differentiated = [name for name, x in outputs if probes.is_float(x)]
    for name, (inputs, weights) in zip(differentiated, found, strict=True):
        suffix = "" if len(found) == 1 else f" of {name}"
        for argument, value in zip(arguments, [*inputs, *weights], strict=True):
            measured.add(f"{argument}{suffix}", value)
    return measured


def _cotangent(i: int, shape: Any, dtype: str, change: Any) -> Any:
    # Rounded like an argument, since gradients are sums of its elements.
    value = cotangent(i, shape, dtype)
    return value if change is None else change(-1 - i, value)


def gradient_names(computation: Computation, built: Built) -> list[str]:
    """Name the floating-point arguments and the trainable weights."""
    flat = keras.tree.flatten((built.args, built.kwargs))
    names = [
        name
        for name, x in zip(computation.names(), flat, strict=True)
        if ops.is_tensor(x) and probes.is_float(x)
    ]
    weights = [w for w in weights_of(built.function) if w.trainable]
    return names + [f"weight {i} {name_of(w)}" for i, w in enumerate(weights)]


def _fit(computation: Computation, policy: str, change: Any = None) -> Measured:
    if not computation.is_layer:
        raise LeftOutError("only layers are trained")
    built = computation.built(policy, change)
    arrays = [
        x
        for x in keras.tree.flatten((built.args, built.kwargs))
        if ops.is_tensor(x)
    ]
    batches = {x.shape[0] if len(x.shape) else None for x in arrays}
    if len(batches) != 1 or None in batches or 0 in batches:
        raise LeftOutError("the arrays have no common batch dimension")
    try:
        training = in_training(computation)
    except LeftOutError:
        training = computation
    if is_random(training, policy):
        raise LeftOutError(RANDOM)
    measured = Measured()
    for name, value in fit(built, compute_dtype(policy)).items():
        measured.add(name, value)
    if not measured.values:
        raise LeftOutError("no floating-point output for each example")
    return measured


def narrowed(computation: Computation) -> list[str]:
    """Return the functions of Keras that turn float64 into float32."""
    if "narrowed" not in computation.cache:
        computation.cache["narrowed"] = _narrowed(computation)
    return list(computation.cache["narrowed"])


def _narrowed(computation: Computation) -> list[str]:
    with dtype_scope("float64"):
        built = computation.built("float64")
        try:
            return probes.narrowed(built.function, built.args, built.kwargs)
        except Exception:  # a function that works eagerly only
            return []


def _check(computation: Computation, policy: str, kind: str) -> None:
    check_instance("computation", computation, Computation, "a Computation")
    check_one_of("policy", policy, POLICIES)
    check_one_of("kind", kind, KINDS)
