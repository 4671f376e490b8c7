"""Reads the columns of a log as NumPy arrays, without missing values."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kseq.checks import Unquoted, raise_invalid
from kseq.frames import from_objects, raise_missing

VALUES = "strings, numbers or datetimes"
Array = np.ndarray[Any, np.dtype[Any]]


def read_column(events: Any, name: str) -> Array:
    """Return a column of a data frame, a table or a dict."""
    try:
        values = events[name]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        received = Unquoted(f"{type(events).__name__} ({error!r})")
        raise_invalid("events", f"a column {name!r}", received)
    return to_array(name, values)


def to_array(name: str, values: Any) -> Array:
    """Return numbers, datetimes, or an object array of strings."""
    if isinstance(values, Sequence) and not isinstance(values, str):
        # Not np.asarray, which converts a None among strings to a string.
        array = np.fromiter(values, object, len(values))
    else:
        array = np.asarray(values)
    if array.dtype.kind in "OT":
        array = from_objects(name, array.astype(object), VALUES)
    if array.ndim != 1:
        raise_invalid(
            name, "one value for each event", Unquoted(f"shape {array.shape}")
        )
    if array.dtype.kind in "SU":
        array = array.astype(object)
    if array.dtype.kind not in "biufMmO":
        raise_invalid(name, VALUES, array.dtype)
    missing = np.argwhere(_is_missing(array))
    if len(missing):
        raise_missing(name, array, tuple(missing[0]), VALUES)
    return array


def _is_missing(array: Array) -> Array:
    match array.dtype.kind:
        case "f":
            return np.isnan(array)
        case "M" | "m":
            return np.isnat(array)
    return np.zeros(0, bool)


def to_numbers(name: str, array: Array, minimum: int) -> Array:
    """Return int32 or float32; integers must not be below `minimum`."""
    match array.dtype.kind:
        case "f":
            return array.astype("float32")
        case "b" | "i" | "u":
            limit = np.iinfo("int32").max
            wrong = array[(array < minimum) | (array > limit)]
            if len(wrong):
                expected = f"integers from {minimum} to {limit}"
                if minimum == 1:
                    expected += " (0 is padding)"
                raise_invalid(name, expected, wrong[0].item())
            return array.astype("int32")
    raise_invalid(
        name, "numbers, or a Vocabulary in `vocabularies`", array.dtype
    )


def factorize(array: Array) -> tuple[Array, dict[Any, int]]:
    """Return the number of each value, and the numbers of the values."""
    values = array.tolist()
    numbers = {value: i for i, value in enumerate(dict.fromkeys(values))}
    return look_up(array, numbers), numbers


def look_up(
    array: Array, numbers: dict[Any, int], default: int | None = None
) -> Array:
    values = array.tolist()
    found = (
        map(numbers.__getitem__, values)
        if default is None
        else (numbers.get(value, default) for value in values)
    )
    return np.fromiter(found, "int64", len(values))
