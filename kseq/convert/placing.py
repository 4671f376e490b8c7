"""Arrays into weights: all of them, or none."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from kseq.checks import raise_invalid


class Placement(NamedTuple):
    """Where an array went: the weight's path, the array's, their shape."""

    weight: str
    source: str
    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Pair:
    """A weight and the array for it; None where there is no partner."""

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
    """Give each weight its array, if each has one of its shape.

    Args:
        argument: the name of the argument that the arrays came by.
        expected: what it was to hold.
        received: what is said to have come.
        layers: the pairs of each layer.

    Raises:
        ValueError: not all pairs fit; the error shows the layers where they do
            not, and no weight has changed.
    """
    for pair in (pair for pairs in layers for pair in pairs):
        if pair.array is not None and pair.array.dtype.kind not in "fiu":
            raise_invalid(argument, "arrays of numbers", pair.array.dtype.name)
    wrong = [pairs for pairs in layers if not all(p.fits for p in pairs)]
    if wrong:
        rows = "\n".join(_row(pair) for pairs in wrong for pair in pairs)
        raise_invalid(argument, f"{expected}:\n{rows}\n", received)
    pairs = [pair for pairs in layers for pair in pairs]
    _assign([(pair.weight, _plain(pair.array)) for pair in pairs])
    return [
        Placement(pair.weight.path, pair.source, tuple(pair.array.shape))
        for pair in pairs
    ]


def _plain(array: Any) -> Any:
    """Of this machine's bytes, and no longer than any backend takes."""
    if array.dtype.itemsize > 8:
        array = array.astype("float64")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _assign(values: Sequence[tuple[Any, Any]]) -> None:
    """Assign them all; if that fails, as where memory is full, none."""
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
