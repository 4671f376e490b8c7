"""How much results change if the inputs change by one rounding."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kseq.agreement.computation import Computation, dtype_scope
from kseq.agreement.measure import measure
from kseq.agreement.record import Entry
from kseq.agreement.reference import reference_function
from kseq.agreement.tables import (
    ROUNDINGS,
    compute_dtype,
    epsilon,
    left_out,
    tolerance,
)
from kseq.agreement.values import floor_of, largest

DRAWS = 3


def sensitivities(
    computation: Computation,
    policy: str,
    kind: str,
    like: Entry,
    wide: Entry | None,
    dtype: str,
) -> dict[str, Any]:
    """Measure how much one rounding of the inputs changes each result.

    The reference, or else the backend in float64, computes with inputs and
    weights which are each changed by one rounding of the policy's dtype, up or
    down at random. For gradients and training this is done only where the
    results differ from those of float64 by more than the limit.

    Args:
        computation: the computation.
        policy: the dtype policy.
        kind: the kind of computation.
        like: its results.
        wide: its results in float64, if they are known.
        dtype: the dtype that rounds.

    Returns:
        The largest change of each element, by name.
    """
    outputs = kind in ("forward", "training", "forward_compiled")
    if policy == "float64" and not outputs and not like.narrowed:
        return {}
    backend = keras.backend.backend()
    if outputs and computation.reference is not None:
        draws = _reference_draws(computation, policy, like, dtype)
        return _changes(computation, like, draws, dtype)
    if left_out(backend, kind, "float64"):
        return {}
    if not outputs:
        is_exact = wide is not None and (kind == "fit" or not wide.narrowed)
        expected = like.references or (wide.values if wide and is_exact else {})
        if expected and within(like, expected):
            return {}
        if kind == "fit" and not expected:
            return {}
    rounded = Computation(computation.function, *computation.arrays(policy))

    def draw(number: int) -> dict[str, Any]:
        change = _change(number, dtype)
        return measure(rounded, "float64", kind, change).values

    try:
        draws = [draw(i) for i in range(1 + (DRAWS if outputs else 1))]
    except Exception:  # such as a probability of 1, which becomes more than 1
        return {}
    return _changes(computation, like, draws, dtype)


def within(like: Entry, expected: Mapping[str, Any]) -> bool:
    """Return whether results differ from others by less than their limit."""
    # Two results, each so near to the expected one, are within their limit.
    limit = tolerance(like.kind, like.policy).limit / 2
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        return all(
            largest(like.values[name] - x)
            <= limit * max(largest(x), floor_of(name, like.kind, expected))
            for name, x in expected.items()
            if x is not None and like.values.get(name) is not None
        )


def _change(draw: int, policy: str) -> Callable[[int, Any], Any]:
    """Return a function that changes arrays by one rounding; not in draw 0."""

    def change(i: int, x: Any) -> Any:
        if draw == 0:
            return x
        random = np.random.default_rng([11, draw, abs(i), i < 0])
        signs = random.choice([-1.0, 1.0], size=x.shape)
        return np.asarray(x * (1 + signs * epsilon(policy)))

    return change


def _reference_draws(
    computation: Computation, policy: str, like: Entry, dtype: str
) -> list[dict[str, Any]]:
    """Return the reference's outputs for arrays that are changed."""
    with dtype_scope(policy):
        built = computation.built(policy)
        function, arrays = reference_function(computation, policy, built)
    draws = []
    for number in range(DRAWS + 1):
        change = _change(number, dtype)
        changed = [
            change(i, x) if x.dtype.kind == "f" else x
            for i, x in enumerate(arrays)
        ]
        draws.append(dict(zip(like.references, function(changed), strict=True)))
    return draws


def _changes(
    computation: Computation,
    like: Entry,
    draws: Sequence[dict[str, Any]],
    dtype: str,
) -> dict[str, Any]:
    """Return the largest change of each element in draws, by name."""
    exact, *others = draws
    arrays = keras.tree.flatten((computation.args, computation.kwargs))
    floats = [
        x for x in arrays if getattr(x, "dtype", np.dtype("?")).kind == "f"
    ]
    inputs = max(map(largest, floats), default=0.0)
    found = {}
    for name, value in exact.items():
        if value is None or value.dtype.kind != "f" or name not in like.values:
            continue
        with np.errstate(invalid="ignore", over="ignore"):
            changes = [np.abs(draw[name] - value) for draw in others]
            error = np.abs(like.values[name] - value)
        change = np.nan_to_num(np.max(changes, axis=0), posinf=0.0)
        if not change.size:
            continue
        # A few draws can cancel for single elements.
        change = np.maximum(change, np.median(change))
        # Terms that cancel leave rounding errors, also of unchanged inputs.
        scale = floor_of(name, like.kind, exact) or inputs
        # An element's own error must not excuse itself: the upper quartile.
        least = epsilon(dtype) * scale
        error = np.nan_to_num(error, posinf=0.0)
        usual = np.quantile(error, 0.75)
        zero = np.abs(value) < least
        of_zeros = np.max(error, where=zero, initial=0.0)
        noise = np.where(zero, np.maximum(usual, of_zeros), usual)
        noise = np.minimum(4 / ROUNDINGS[compute_dtype(dtype)] * noise, least)
        found[name] = np.fmax(change, noise)
    return found


def add_narrowing(entry: Entry, computation: Computation) -> None:
    """Let each result change by one rounding of the arguments to float32.

    Where the arguments cancel, as in `x - mean(x)` of one step, `sensitivities`
    are 0, but what Keras has rounded to 32 bits does not cancel.
    """
    arrays = keras.tree.flatten(computation.arrays(entry.policy))
    floats = [x for x in arrays if getattr(x, "dtype", None) == "float64"]
    change = epsilon("float32") * max(map(largest, floats), default=0.0)
    limit = tolerance(entry.kind, "float32").limit
    for name, x in entry.values.items():
        if x is None or x.dtype.kind != "f":
            continue
        known = entry.sensitivities.get(name)
        if known is None:  # the ordinary limit
            known = np.full(x.shape, limit * largest(x) / ROUNDINGS["float32"])
        entry.sensitivities[name] = np.maximum(known, change)


def scale_sensitivities(
    entry: Entry, done: Mapping[tuple[str, str], Entry]
) -> None:
    """Use float32's sensitivities, in roundings of float64."""
    narrow = done.get(("float32", entry.kind))
    ratio = epsilon("float64") / epsilon("float32")
    if narrow is not None:
        entry.sensitivities = {
            name: x * ratio for name, x in narrow.sensitivities.items()
        }
