"""Argument checks.

Each check returns the accepted value or raises a ValueError that names the
argument, the expected value and the received one.
"""

import os
import sys
from collections.abc import Mapping, Sequence, Set
from numbers import Integral, Real
from pathlib import Path
from typing import Any, NoReturn

from kseq.types import Shape


class Unquoted(str):
    """A text that an error message shows without quotes."""

    __slots__ = ()
    __repr__ = str.__str__


def raise_invalid(name: str, expected: str, received: object) -> NoReturn:
    """Raise the ValueError that every check raises."""
    raise ValueError(f"{name}: expected {expected}; received {received!r}")


def describe_inputs(inputs: Any) -> Any:
    """Return a layer's inputs with each tensor replaced by its shape."""
    if hasattr(inputs, "shape"):
        return Unquoted(f"shape {tuple(inputs.shape)}")
    if isinstance(inputs, (list, tuple)):
        return [describe_inputs(x) for x in inputs]
    if isinstance(inputs, Mapping):
        return {name: describe_inputs(x) for name, x in inputs.items()}
    return inputs


def is_real(array: Any) -> bool:
    """Return whether a NumPy array holds real numbers or bools."""
    return array.dtype.kind in "biuf"


def check_one_of(name: str, value: Any, options: Sequence[Any]) -> Any:
    # Not `in`, which would accept True for 1, and fail for an array.
    for option in options:
        if type(value) is type(option) and value == option:
            return value
    raise_invalid(name, "one of " + ", ".join(map(repr, options)), value)


def check_bool(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise_invalid(name, "True or False", value)
    return value


def check_int(name: str, value: Any) -> int:
    if not _is_int(value):
        raise_invalid(name, "an integer", value)
    return int(value)


def check_int_below(name: str, value: Any, end: int) -> int:
    if not _is_int(value) or not 0 <= int(value) < end:
        raise_invalid(name, f"an integer from 0 to {end - 1}", value)
    return int(value)


def check_positive_int(name: str, value: Any) -> int:
    if not _is_positive_int(value):
        raise_invalid(name, "a positive integer", value)
    return int(value)


def check_optional_int(name: str, value: Any) -> int | None:
    """Check a positive integer or None."""
    return None if value is None else check_positive_int(name, value)


def check_positive_ints(name: str, values: Any) -> tuple[int, ...]:
    """Check a sequence of positive integers, which may be empty."""
    expected = "a sequence of positive integers"
    values = _items(name, values, expected)
    if not all(map(_is_positive_int, values)):
        raise_invalid(name, expected, values)
    return tuple(int(value) for value in values)


def check_instance(name: str, value: Any, kind: Any, expected: str) -> Any:
    """Check that a value is an instance of a class or a union of them."""
    if not isinstance(value, kind):
        raise_invalid(name, expected, value)
    return value


def check_path(name: str, value: Any) -> Path:
    # `open` would take an integer for a file descriptor.
    return Path(check_instance(name, value, str | os.PathLike, "a path"))


def check_items(
    name: str, values: Any, kind: Any, expected: str
) -> tuple[Any, ...]:
    """Return the items of an iterable, which must be instances of `kind`."""
    values = _items(name, values, expected)
    for value in values:
        if not isinstance(value, kind):
            raise_invalid(name, expected, Unquoted(f"among them {value!r}"))
    return values


def _items(name: str, values: Any, expected: str) -> tuple[Any, ...]:
    # A string is not a sequence of names, and a set has no order.
    if isinstance(values, (str, bytes, Mapping, Set)):
        raise_invalid(name, expected, values)
    try:
        return tuple(values)
    except TypeError:
        raise_invalid(name, expected, values)


def _is_int(value: Any) -> bool:
    # NumPy's integers too, but not a bool or an array of one integer.
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_positive_int(value: Any) -> bool:
    return _is_int(value) and int(value) > 0


def check_axis(name: str, axis: Any, rank: int, first: int = 1) -> int:
    """Return an axis as a number from `first` to `rank` - 1; 0 is the batch."""
    if not _is_int(axis) or not -rank <= axis < rank or axis % rank < first:
        raise_invalid(
            name, f"{first} to {rank - 1}, or {first - rank} to -1", axis
        )
    return int(axis) % rank


def check_number(
    name: str, value: Any, low: float, high: float, expected: str
) -> float:
    """Return a real number in ``[low, high)`` as a float."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise_invalid(name, expected, value)
    try:
        number = float(value)
    except OverflowError:
        raise_invalid(name, expected, value)
    if not low <= number < high:
        raise_invalid(name, expected, value)
    return number


def check_rate(name: str, value: Any) -> float:
    return check_number(name, value, 0.0, 1.0, "a number in [0, 1)")


def check_epsilon(name: str, value: Any) -> float:
    return check_number(
        name,
        value,
        sys.float_info.min,
        float("inf"),
        "a finite number above 0",
    )


def check_nonnegative(name: str, value: Any) -> float:
    return check_number(
        name, value, 0.0, float("inf"), "a finite number of at least 0"
    )


def is_shape(value: Any) -> bool:
    """Return True for one tensor's shape, False for a structure of shapes."""
    return (
        isinstance(value, (list, tuple))
        and len(value) > 0
        and all(dim is None or isinstance(dim, int) for dim in value)
    )


def check_min_rank(name: str, shape: Shape, rank: int) -> Shape:
    if len(shape) < rank:
        raise_invalid(
            name,
            f"a tensor of rank {rank} or more",
            Unquoted(f"shape {tuple(shape)}"),
        )
    return shape


def resolve_table_length(max_steps: int | None, *steps: int | None) -> int:
    """Return the number of rows of a position table for these sequences."""
    known = [n for n in steps if n is not None]
    rows = max_steps or max(known, default=None)
    if rows is None:
        raise_invalid(
            "max_steps",
            "the largest number of steps, since that of the input is unknown",
            None,
        )
    return rows


def check_known_dim(name: str, shape: Shape, axis: int) -> int:
    size = shape[axis]
    if size is None:
        raise_invalid(
            name,
            f"a known size on axis {axis}",
            Unquoted(f"shape {tuple(shape)}"),
        )
    return size
