"""Reads columns of data frames, tables and lists as NumPy arrays."""

from collections.abc import Mapping
from datetime import datetime
from numbers import Real
from typing import Any, NoReturn

import numpy as np

from kseq.checks import Unquoted, raise_invalid

Array = np.ndarray[Any, np.dtype[Any]]


def to_dict(x: Any) -> Any:
    """Return the columns of a data frame or table by name; else `x`."""
    # pandas, pyarrow and polars have this method; data sets do not.
    if isinstance(x, Mapping) or not hasattr(x, "__arrow_c_stream__"):
        return x
    names = getattr(x, "column_names", None) or getattr(x, "columns", None)
    return x if names is None else {name: x[name] for name in names}


def from_objects(name: str, array: Array, expected: str) -> Array:
    """Return the numbers or datetimes of an object array.

    Strings stay objects. Lists and arrays, of one length, become an axis.

    Raises:
        ValueError: values are missing or of several types; `expected`
            describes the values in the error's text.
    """
    objects = array.reshape(-1).tolist()
    if not objects:
        return np.zeros(array.shape, "int64")
    types = set(map(type, objects))
    if all(issubclass(t, str) for t in types):
        return array
    if all(issubclass(t, Real) for t in types):
        return np.array(objects).reshape(array.shape)
    if all(issubclass(t, datetime) for t in types):
        times = np.array([_naive(t) for t in objects], "datetime64[us]")
        return times.reshape(array.shape)
    if all(issubclass(t, list | tuple | np.ndarray) for t in types):
        nested = stack(name, objects)
        if nested.dtype == object:
            nested = from_objects(name, nested, expected)
        return nested.reshape(*array.shape, *nested.shape[1:])
    for i, value in enumerate(objects):
        # Tests the type first, because pandas.NA has no truth value.
        if not isinstance(value, (str, Real, datetime)) or value != value:
            position = np.unravel_index(i, array.shape)
            raise_missing(name, array, position, expected)
    kinds = ", ".join(sorted(t.__name__ for t in types))
    raise_invalid(name, "values of one type", Unquoted(kinds))


def stack(name: str, values: Any) -> Array:
    """Return nested lists as one array."""
    try:
        return np.asarray(values)
    except ValueError:
        raise_invalid(
            name,
            "sequences padded to one length",
            Unquoted("sequences of different lengths"),
        )


def _naive(time: datetime) -> datetime:
    """Return a datetime in UTC without its time zone."""
    offset = time.utcoffset() if time.tzinfo else None
    return time if offset is None else (time - offset).replace(tzinfo=None)


def raise_missing(
    name: str, array: Array, position: tuple[Any, ...], expected: str
) -> NoReturn:
    received = describe_value(array, position)
    raise_invalid(name, f"{expected} without missing values", received)


def describe_value(array: Array, position: tuple[Any, ...]) -> Unquoted:
    """Return a value and its row as the text of an error."""
    value = array.item(position)
    return Unquoted(f"{value!r} in row {position[0]}" if position else value)
