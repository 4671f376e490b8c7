"""Decide whether arrays of several runs agree, and say where they differ."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kseq.agreement.tables import (
    ROUNDINGS,
    compute_dtype,
    epsilon,
    smallest,
)

REFERENCE = "reference"


@dataclass(frozen=True)
class Limits:
    """How much the elements of an array may differ.

    Args:
        relative: the limit relative to the array's largest value.
        policy: the dtype policy, whose rounding errors are expected.
        scale: the least value that the relative limit refers to.
        sensitivity: how much one rounding of the inputs changes each element,
            or None if it is unknown.
        fixed: whether the relative limit holds whatever the sensitivity.
    """

    relative: float
    policy: str
    scale: float = 0.0
    sensitivity: Any = None
    fixed: bool = False

    def allowed(self, values: Sequence[Any]) -> Any:
        """Return the allowed difference of each element."""
        scale = max([self.scale, *map(largest, values)])
        allowed = self.relative * (scale or 1.0)
        if self.sensitivity is None or self.fixed:
            return np.full(values[0].shape, allowed)
        unit = epsilon(self.policy)
        roundings = ROUNDINGS[compute_dtype(self.policy)]
        size = np.max([np.where(np.isfinite(x), abs(x), 0) for x in values], 0)
        each = roundings * (self.sensitivity + unit * size)
        each = np.maximum(each, self.relative * size)
        # XLA and Eigen replace denormal numbers by 0.
        each = np.maximum(each, smallest(self.policy))
        # Ill-conditioned elements may exceed the limit of the whole array.
        whole = max(allowed, roundings * largest(self.sensitivity))
        return np.minimum(each, whole)


@dataclass(frozen=True)
class Finding:
    """Where and how the runs differ.

    Args:
        groups: the runs that agree with each other, the largest group first.
        text: the sentence for a report, with the values.
    """

    groups: tuple[tuple[str, ...], ...]
    text: str


def largest(x: Any) -> float:
    """Return the largest finite absolute value, or 0."""
    x = np.asarray(x, "float64")
    return float(np.max(np.abs(x), initial=0.0, where=np.isfinite(x)))


def first_call(name: str) -> str:
    """Return the name of an array, or fact, in the first call."""
    return re.sub(r" of call \d+", "", name)


def floor_of(name: str, kind: str, arrays: Mapping[str, Any]) -> float:
    """Return the least scale of an array's limit, from its computation.

    It is 0 but for gradients: those of one output add up terms of one size, so
    a small one can consist of rounding errors.
    """
    if not kind.startswith("gradients"):
        return 0.0
    output = name.partition(" of output")[2]
    same = [
        x for n, x in arrays.items() if n.partition(" of output")[2] == output
    ]
    return max((largest(x) for x in same if x is not None), default=0.0)


def find_difference(
    values: Mapping[str, Any], limits: Limits
) -> Finding | None:
    """Compare one array between runs.

    NaN and infinities must be at the same positions and of the same sign.
    Integers and bools must be equal. None, a gradient that does not exist, is
    equal to zeros.

    Args:
        values: the array of each run, and of the reference.
        limits: the allowed differences.

    Returns:
        The difference, or None if the runs agree.
    """
    given = [x for x in values.values() if x is not None]
    if not given:
        return None
    arrays = {
        name: np.zeros_like(given[0]) if x is None else x
        for name, x in values.items()
    }
    shapes = {name: x.shape for name, x in arrays.items()}
    if len({*shapes.values()}) > 1:
        return differing_texts("shape", shapes)
    stacked = {name: np.asarray(x) for name, x in arrays.items()}
    excess = _excess(stacked, limits)
    if not excess.size or not excess.max() > 1:
        return None
    index = np.unravel_index(int(np.argmax(excess)), excess.shape)
    allowed = limits.allowed([_wide(x) for x in stacked.values()])[index]
    at = {name: x[index] for name, x in stacked.items()}
    missing = {name for name, x in values.items() if x is None}
    groups = _groups(at, float(allowed))
    shown = _numbers(at) | dict.fromkeys(missing, "None")
    position = f"at {tuple(map(int, index))}" if index else ""
    return Finding(groups, _sentence(position, groups, shown))


def _wide(x: Any) -> Any:
    return np.asarray(x, "float64")


def _excess(arrays: Mapping[str, Any], limits: Limits) -> Any:
    """Return the difference of each element in units of the allowed one."""
    values = [*arrays.values()]
    runs = [x for name, x in arrays.items() if name != REFERENCE]
    if all(x.dtype.kind in "biu" for x in runs):
        differ = np.any([values[0] != x for x in values], axis=0)
        return np.where(differ, np.inf, 0.0)
    wide = np.stack([_wide(x) for x in values])
    finite = np.isfinite(wide)
    # NaN, +inf and -inf as 2, 1 and -1.
    kinds = np.where(np.isnan(wide), 2.0, np.where(finite, 0.0, np.sign(wide)))
    differ = (kinds != kinds[0]).any(axis=0)
    wide = np.where(finite, wide, 0.0)
    spread = wide.max(axis=0) - wide.min(axis=0)
    allowed = limits.allowed([*wide])
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = np.where(spread > 0, spread / allowed, 0.0)
    return np.where(differ, np.inf, excess)


def _groups(
    at: Mapping[str, Any], allowed: float
) -> tuple[tuple[str, ...], ...]:
    """Group runs whose values at one position agree."""
    groups: list[list[str]] = []
    for name, x in at.items():
        for group in groups:
            if all(_close(x, at[other], allowed) for other in group):
                group.append(name)
                break
        else:
            groups.append([name])
    groups.sort(key=lambda g: -sum(name != REFERENCE for name in g))
    return tuple(map(tuple, groups))


def _close(a: Any, b: Any, allowed: float) -> bool:
    if np.asarray(a).dtype.kind in "biu" and np.asarray(b).dtype.kind in "biu":
        return bool(a == b)
    a, b = float(a), float(b)
    return a == b or (a != a and b != b) or abs(a - b) <= allowed


def differing_texts(what: str, texts: Mapping[str, Any]) -> Finding | None:
    """Compare texts that must be equal; `what` they are, such as "dtype"."""
    groups: dict[Any, list[str]] = {}
    for name, text in texts.items():
        groups.setdefault(text, []).append(name)
    if len(groups) < 2:
        return None
    ordered = sorted(map(tuple, groups.values()), key=lambda g: -len(g))
    shown = {name: str(text) for name, text in texts.items()}
    return Finding(tuple(ordered), _sentence(f"in {what}", ordered, shown))


def _sentence(
    where: str, groups: Sequence[Sequence[str]], shown: Mapping[str, str]
) -> str:
    """Say who differs, with the value of each group.

    With three or more runs of which one differs: "torch alone differs".
    """
    runs = [[n for n in group if n != REFERENCE] for group in groups]
    runs = [group for group in runs if group]
    alone = [group for group in runs if len(group) == 1]
    count = sum(map(len, runs))
    if count > 2 and len(runs) == 2 and len(alone) == 1:
        subject = f"{alone[0][0]} alone differs"
    elif len(runs) == 1:
        subject = f"{' and '.join(runs[0])} differ{'s' * (count == 1)}"
        subject += " from the reference"
    else:
        subject = "the runs differ"
    values = []
    for group in sorted(groups, key=lambda g: ([*g] == [REFERENCE], len(g))):
        names = [n for n in group if n != REFERENCE]
        parts = [f"{' = '.join(names)} {shown[names[0]]}"] if names else []
        if REFERENCE in group:
            parts.append(f"reference {shown[REFERENCE]}")
        values += parts
    head = " ".join(x for x in (subject, where) if x)
    return f"{head}: {', '.join(values)}"


def _numbers(values: Mapping[str, Any]) -> dict[str, str]:
    """Format numbers with as many digits as are needed to tell them apart."""
    for digits in (7, 17):
        shown = {
            name: str(x.item()) if x.dtype.kind in "biu" else f"{x:.{digits}g}"
            for name, x in values.items()
        }
        if len({*shown.values()}) == len({*map(float, values.values())}):
            break
    return shown
