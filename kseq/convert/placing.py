"""Assign arrays to weights: all of them, or none."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from kseq.checks import raise_invalid


class Placement(NamedTuple):
    """A loaded weight: its path, the path of its array, their shape."""

    weight: str
    source: str
    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Pair:
    """A weight and its array; one of them is None if it has no partner."""

    weight: Any
    array: Any
    source: str = ""

    @property
    def fits(self) -> bool:
        if self.weight is None or self.array is None:
            return False
        return tuple(self.weight.shape) == tuple(self.array.shape)


def place(
    argument: str,
    expected: str,
    received: object,
    layers: Sequence[Sequence[Pair]],
) -> list[Placement]:
    """Assign each array to its weight, if all pairs fit.

    Args:
        argument: the name of the user's argument, for errors.
        expected: what the argument should contain, for errors.
        received: the value to show in errors.
        layers: the pairs of each layer.

    Raises:
        ValueError: a pair does not fit. The error shows all pairs of the
            layers concerned, and no weight has changed.
    """
    pairs = [pair for layer in layers for pair in layer]
    for pair in pairs:
        if pair.array is not None and pair.array.dtype.kind not in "fiu":
            raise_invalid(argument, "arrays of numbers", pair.array.dtype.name)
    wrong = [layer for layer in layers if not all(p.fits for p in layer)]
    if wrong:
        rows = "\n".join(_row(pair) for layer in wrong for pair in layer)
        raise_invalid(argument, f"{expected}:\n{rows}\n", received)
    _assign([(pair.weight, _to_native(pair.array)) for pair in pairs])
    return [
        Placement(pair.weight.path, pair.source, tuple(pair.array.shape))
        for pair in pairs
    ]


def _to_native(array: Any) -> Any:
    """Convert to this machine's byte order and at most 64 bits."""
    if array.dtype.itemsize > 8:
        array = array.astype("float64")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _assign(values: Sequence[tuple[Any, Any]]) -> None:
    """Assign all values, or none if one fails, as when memory is full."""
    before = [
        (weight, np.array(ops.convert_to_numpy(weight.value), copy=True))
        for weight, _ in values
    ]
    try:
        for weight, value in values:
            weight.assign(value)
    except BaseException:
        for weight, value in before:
            weight.assign(value)
        raise


def _row(pair: Pair) -> str:
    own = given = "-"
    if pair.weight is not None:
        own = f"{pair.weight.path} {tuple(pair.weight.shape)}"
    if pair.array is not None:
        given = f"{pair.source} {tuple(pair.array.shape)}".lstrip()
    mark = "" if pair.fits else "   <--"
    return f"  {own}   given: {given}{mark}"
