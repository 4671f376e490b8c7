"""Checks of a computation on one backend."""

from typing import Any

import keras
import numpy as np

from kseq.agreement import probes
from kseq.agreement.computation import (
    Computation,
    build,
    call_symbolically,
    clone,
    dtype_scope,
    to_tensors,
)
from kseq.agreement.measure import CALLS, dtype_fact, named_outputs, to_numpy
from kseq.agreement.numbers import seed_weights
from kseq.agreement.record import Entry
from kseq.agreement.tables import POLICIES, compute_dtype, tolerance
from kseq.agreement.values import (
    Limits,
    differing_texts,
    find_difference,
    first_call,
    floor_of,
)


def check_repeated(entry: Entry) -> list[str]:
    """Compare the third call with the first, unless the state has changed."""
    suffix = f" of call {CALLS}"
    states = [n for n in entry.values if n.startswith("state")]
    again = {n for n in entry.values if n.endswith(suffix)}
    changed = any(
        not np.array_equal(
            entry.values[n], entry.values[n + suffix], equal_nan=True
        )
        for n in states
        if n + suffix in again
    )
    if changed:
        return []
    found = []
    for name in again:
        first = name.removesuffix(suffix)
        if not first.startswith("output") or first not in entry.values:
            continue
        values = {
            "call 1": entry.values[first],
            f"call {CALLS}": entry.values[name],
        }
        if finding := find_difference(values, _limits(entry, first)):
            found.append(f"{first}: repeated calls differ: {finding.text}")
    return found


def check_compiled(eager: Entry, compiled: Entry) -> list[str]:
    """Compare a compiled computation with the eager one."""
    found = []
    names = [
        name
        for name in {**eager.values, **compiled.values}
        if name in compiled.values
        or (name.startswith("output") and name == first_call(name))
    ]
    for name in names:
        forms = {"eager": eager, "compiled": compiled}
        lacking = [form for form, e in forms.items() if name not in e.values]
        if lacking:
            found.append(f"{name}: the {lacking[0]} call did not return it")
            continue
        values = {form: e.values[name] for form, e in forms.items()}
        finding = find_difference(values, _limits(eager, name))
        if finding is None and all(x is not None for x in values.values()):
            fact = f"{name} dtype"
            dtypes = {form: e.facts.get(fact) for form, e in forms.items()}
            finding = differing_texts("dtype", dtypes)
        if finding:
            found.append(f"{name}: {finding.text}")
    return found


def _limits(entry: Entry, name: str) -> Limits:
    policy = "float32" if entry.narrowed else entry.policy
    limit = entry.relative or tolerance(entry.kind, policy).limit
    scale = floor_of(name, entry.kind, entry.values)
    sensitivity = entry.sensitivities.get(first_call(name))
    fixed = entry.relative is not None
    return Limits(limit, policy, scale, sensitivity, fixed)


def check_spec(computation: Computation, policy: str) -> list[str]:
    """Compare the symbolic outputs of a layer with the actual ones."""
    # Keras's losses and activations do not promise symbolic calls.
    if not computation.is_layer and not _is_op(computation.function):
        return []
    with dtype_scope(policy):
        built = computation.built(policy)
        actual = probes.forward(built.function, built.args, built.kwargs, False)
        try:
            spec = call_symbolically(built.function, built.args, built.kwargs)
        except Exception as error:  # a layer can raise anything
            return [f"a symbolic call raised {type(error).__name__}: {error}"]
    specs, outputs = named_outputs(spec), named_outputs(actual)
    if [n for n, _ in specs] != [n for n, _ in outputs]:
        names = [n for n, _ in specs], [n for n, _ in outputs]
        return [f"a symbolic call returns {names[0]}, a call {names[1]}"]
    found = []
    for (name, symbol), (_, tensor) in zip(specs, outputs, strict=True):
        shape = tuple(tensor.shape)
        expected = tuple(symbol.shape)
        dtype, symbolic = dtype_fact(tensor), dtype_fact(symbol)
        if len(shape) != len(expected) or any(
            e not in (None, s) for e, s in zip(expected, shape, strict=True)
        ):
            found.append(
                f"{name}: a symbolic call has shape {expected}, a call {shape}"
            )
        if symbolic != dtype:
            found.append(
                f"{name}: a symbolic call has dtype {symbolic}, a call {dtype}"
            )
    return found


def _is_op(function: Any) -> bool:
    """Return whether a function is one of `keras.ops`."""
    name = getattr(function, "__name__", "")
    return getattr(keras.ops, name, None) is function


def check_config(computation: Computation) -> list[str]:
    """Compare a layer with one that is created from its config."""
    layer = computation.function
    if not isinstance(layer, keras.Layer):  # a factory of one without a config
        return []
    policy = layer.dtype_policy.name
    if policy not in POLICIES:
        return []
    try:
        other = clone(layer, policy)
        expected, actual = (
            _outputs_of(computation, x, policy) for x in (layer, other)
        )
    except Exception as error:  # a layer can raise anything
        return [f"from_config(get_config()): {type(error).__name__}: {error}"]
    limits = Limits(tolerance("forward", policy).limit, policy)
    found = []
    for name in expected.keys() | actual.keys():
        values = {
            "the layer": expected.get(name),
            "from its config": actual.get(name),
        }
        if any(x is None for x in values.values()):
            found.append(f"{name}: a layer from the config lacks or adds it")
        elif finding := find_difference(values, limits):
            text = finding.text
            found.append(f"a layer from its config differs, {name}: {text}")
    return found


def _outputs_of(
    computation: Computation, layer: Any, policy: str
) -> dict[str, Any]:
    """Call a layer with seeded weights."""
    dtype = compute_dtype(policy)
    with dtype_scope(policy):
        args, kwargs = to_tensors(computation.arrays(policy), dtype)
        if not layer.built:
            build(layer, args, kwargs)
        seed_weights(layer, dtype=dtype)
        for seed in (v for v in layer.variables if "seed_generator" in v.path):
            seed.assign(np.zeros(seed.shape, seed.dtype))
        outputs = named_outputs(probes.forward(layer, args, kwargs, False))
        return {name: to_numpy(x) for name, x in outputs}
