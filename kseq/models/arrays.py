"""Converts what a model is given to arrays, and validates their values."""

from typing import Any

import keras
import numpy as np

from kseq.checks import Unquoted, describe_inputs, is_real, raise_invalid
from kseq.frames import Array, describe_value, from_objects, stack
from kseq.types import Shape


def to_array(
    name: str, values: Any, dtype: str, vocabulary_size: int | None = None
) -> Array:
    """Return numbers that an input or output can hold.

    Args:
        name: the name in errors.
        values: an array, a column of a data frame, or nested lists.
        dtype: the dtype of the input.
        vocabulary_size: the number of rows of the table that the values are
            looked up in, if there is one.

    Returns:
        A NumPy array. Its dtype need not be that of the input: Keras converts
        each batch.

    Raises:
        ValueError: values are missing, no numbers, not finite, not integers
            for ids, or out of range.
    """
    is_integer = keras.backend.is_int_dtype(dtype)
    is_whole = is_integer or vocabulary_size is not None
    low, high = _limits(dtype, vocabulary_size)
    expected = "finite numbers"
    if is_whole:
        expected = f"integers from {low} to {high}"
    array = stack(name, values)
    if array.dtype == object:
        array = from_objects(name, array, expected)
    if array.dtype.kind in "OSTU":
        expected += " (kseq.data.Vocabulary and kseq.hashing.hash_ids give ids)"
        raise_invalid(name, expected, Unquoted("strings"))
    if not is_real(array):
        raise_invalid(name, expected, Unquoted(f"dtype {array.dtype}"))
    # The minimum of numbers and NaN is NaN.
    valid = not array.size or (
        low <= array.min().item() and array.max().item() <= high
    )
    fractions = is_whole and array.dtype.kind == "f"
    if not valid or (fractions and not np.all(array == np.trunc(array))):
        wrong = ~((array >= low) & (array <= high))
        if fractions:
            wrong |= array != np.trunc(array)
        position = tuple(np.argwhere(wrong)[0])
        raise_invalid(name, expected, describe_value(array, position))
    # Keras would convert float64 to float32, which changes large ids; PyTorch
    # has no uint64.
    if array.dtype == "uint64" or (is_integer and array.dtype.kind == "f"):
        array = array.astype(dtype)
    return array


def _limits(dtype: str, vocabulary_size: int | None) -> tuple[Any, Any]:
    if vocabulary_size is not None:
        return 0, vocabulary_size - 1
    if keras.backend.is_int_dtype(dtype):
        return np.iinfo(dtype).min, np.iinfo(dtype).max
    # Keras converts to float32 unless the model computes in float64.
    limit = np.finfo("float64" if dtype == "float64" else "float32").max
    return -limit.item(), limit.item()


def is_backend_tensor(x: Any) -> bool:
    # Arrays are the tensors of the NumPy backend.
    return keras.ops.is_tensor(x) and not isinstance(x, np.ndarray)


def to_targets(name: str, values: Any) -> Any:
    """Return targets or sample weights as arrays; tensors are unchanged."""
    if values is None or is_backend_tensor(values):
        return values
    if isinstance(values, (list, tuple)) and any(
        getattr(y, "ndim", 0) for y in values
    ):
        return type(values)(to_targets(name, y) for y in values)
    return to_array(name, values, "float32")


def check_shape(name: str, x: Any, expected: Shape) -> None:
    """Raise ValueError unless Keras accepts an array for an input."""
    # Keras adds or removes a last axis of size 1.
    allowed = [expected, (*expected, 1)]
    if expected[-1] == 1:
        allowed.append(expected[:-1])
    if not any(is_compatible(x.shape, shape) for shape in allowed):
        raise_invalid(name, f"shape {expected}", describe_inputs(x))


def reshape(name: str, x: Array, expected: Shape) -> Array:
    """Add a first and a last axis of size 1 where `x` lacks them."""
    for first in [(), (1,)] if expected[0] == 1 else [()]:
        for last in [(), (1,)] if expected[-1] == 1 else [()]:
            shape = (*first, *x.shape, *last)
            if is_compatible(shape, expected):
                return x.reshape(shape)
    raise_invalid(name, f"shape {expected}", Unquoted(f"shape {x.shape}"))


def is_compatible(shape: Shape, expected: Shape) -> bool:
    """Whether a shape has the expected rank and known sizes."""
    return len(shape) == len(expected) and all(
        size in (None, got) for size, got in zip(expected, shape, strict=True)
    )
