"""What the ops take: tensors of a kind and a shape, or an error that says so.

Dtypes and shapes are known before the data are, on every backend and in every
compiler. What only the values tell is not looked at: a compiled graph cannot,
and a GPU would be waited for.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kseq.checks import Unquoted, check_rank, raise_invalid
from kseq.ops.dtypes import LOWEST, dtype_of
from kseq.types import Shape, Tensor

FLOATS = tuple(LOWEST)
INTEGERS = tuple(
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
)
NUMBERS = (*FLOATS, *INTEGERS)

Axes = tuple[str, ...]
Sizes = dict[str, int | None]


def to_tensor(name: str, x: Any, expected: str = "a tensor") -> Tensor:
    """A tensor of any dtype that holds numbers or truth values."""
    return _of_dtypes(name, x, (*NUMBERS, "bool"), expected)


def to_floats(
    name: str,
    x: Any,
    axes: Axes | None = None,
    sizes: Sizes | None = None,
) -> Tensor:
    """A tensor of floats, of these axes if any; see `check_axes`."""
    x = _of_dtypes(name, x, FLOATS, "a tensor of floats")
    if axes is not None:
        check_axes(name, x.shape, axes, {} if sizes is None else sizes)
    return x


def to_lengths(name: str, x: Any) -> Tensor:
    """Lengths as floats; truth values are none, perhaps a mask.

    At once: int32, which JAX makes of longer integers, would wrap, and PyTorch
    gets no uint64 (docs/upstream: jax_int64_wraps, torch_uint64).
    """
    expected = "integers or whole floats"
    if not isinstance(x, np.ndarray):
        _of_dtypes(name, x, NUMBERS, expected)
    elif x.dtype.name not in NUMBERS:
        raise_invalid(name, expected, Unquoted(f"dtype {x.dtype}"))
    return ops.convert_to_tensor(x, "float32")


def to_bools(name: str, x: Any) -> Tensor:
    """A mask in bools.

    Of floats it would be half a weight at 0.5, or say what to add to scores: 0
    for what counts.
    """
    x = _of_dtypes(name, x, ("bool", *INTEGERS), "bools, or integers 0 and 1")
    return ops.cast(x, "bool")


def _of_dtypes(name: str, x: Any, dtypes: Axes, expected: str) -> Tensor:
    # To the NumPy backend an array of words is a tensor, too.
    if isinstance(x, np.ndarray) or not ops.is_tensor(x):
        x = _converted(name, x, expected)
    if dtype_of(x) not in dtypes:
        raise_invalid(name, expected, Unquoted(f"dtype {dtype_of(x)}"))
    return x


def _converted(name: str, x: Any, expected: str) -> Tensor:
    if isinstance(x, keras.KerasTensor):
        # Some backends would take it, and others fail.
        raise_invalid(
            name, f"{expected}, of a symbolic one in a layer's `call`", x
        )
    try:
        x = ops.convert_to_tensor(x)
        dtype_of(x)
    except Exception:  # each backend has errors of its own
        raise_invalid(name, expected, x)
    return x


def check_axes(name: str, shape: Shape, axes: Axes, sizes: Sizes) -> None:
    """Refuse a shape whose axes have other sizes than those of their names.

    Args:
        name: the argument's.
        shape: the argument's.
        axes: a name for each axis.
        sizes: the sizes by name, to which the shape's are added; None for what
            is not known.
    """
    check_rank(name, shape, (len(axes),))
    for axis, size in zip(axes, shape, strict=True):
        known = sizes.get(axis)
        if known is None:
            sizes[axis] = size
        elif size is not None and size != known:
            told = ", ".join(axes)
            raise_invalid(
                name, f"shape ({told}) with {axis} = {known}", tuple(shape)
            )


def check_spreads(name: str, shape: Shape, to: Shape) -> None:
    """Refuse a shape that would not be broadcast to another."""
    fits = len(shape) <= len(to) and all(
        size == 1 or None in (size, wanted) or size == wanted
        for size, wanted in zip(shape[::-1], to[::-1], strict=False)
    )
    if not fits:
        raise_invalid(
            name, f"a shape that spreads to {tuple(to)}", tuple(shape)
        )


def check_function(name: str, value: Any) -> None:
    if value is not None and not callable(value):
        raise_invalid(name, "a function or None", value)


def to_floats_each(
    name: str, values: Sequence[Any], axes: Sequence[Axes], sizes: Sizes
) -> tuple[Tensor, ...]:
    """Several tensors of floats, each of its axes."""
    if not isinstance(values, (list, tuple)) or len(values) != len(axes):
        raise_invalid(name, f"a tuple of {len(axes)} tensors", values)
    return tuple(
        to_floats(f"{name}[{i}]", x, axes[i], sizes)
        for i, x in enumerate(values)
    )
