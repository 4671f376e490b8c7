"""Validation of the tensors that the functions of `kseq.ops` take.

A function declares the kind and the axes of its tensors once:

    @takes(x="float batch steps dim", valid="bool batch steps")
    def masked_sum(x, valid): ...

The kinds are "float", "bool" (or integers, of which 0 is False), "lengths" (any
real numbers, of shape (batch,) or (batch, 1)) and "any". Axes of one name have
one size; "..." stands for any further axes, "4*dim" or "dim+units" for sizes
that follow from others. Tensors are validated in the order of the declaration,
so that the error names the one that does not fit those before it.

Only dtypes and static shapes are validated: a traced graph has no values, and
reading them from a GPU would block. A size that is not an integer (None, or
symbolic while a backend traces) is not compared.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import keras
import numpy as np
from keras import ops

from kseq.checks import Unquoted, describe_inputs, raise_invalid
from kseq.ops.dtypes import LOWEST, NAMES, dtype_of
from kseq.types import Shape, Tensor

R = TypeVar("R")

FLOATS = tuple(LOWEST)
INTEGERS = tuple(f"{u}int{bits}" for u in ("", "u") for bits in (8, 16, 32, 64))
# The dtypes of each kind and its description in error messages.
KINDS = {
    "float": (FLOATS, "a tensor of floats"),
    "bool": (("bool", *INTEGERS), "bools, or integers 0 and 1"),
    "lengths": ((*FLOATS, *INTEGERS), "integers or whole floats"),
    "any": ((*FLOATS, *INTEGERS, "bool"), "a tensor of numbers or bools"),
}

# While tracing a functional model, Keras's PyTorch and NumPy backends
# substitute these sizes for None, so one of them may be unknown.
STAND_INS = (83, 89) if keras.backend.backend() in ("torch", "numpy") else ()


def known(size: Any) -> int | None:
    """A size as an integer; None where it is unknown or symbolic."""
    return size if isinstance(size, int) and size not in STAND_INS else None


@dataclass(frozen=True)
class Axis:
    """A size: a named one, or a sum of named ones times factors."""

    text: str
    is_name: bool
    terms: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Spec:
    kind: str
    axes: tuple[Axis, ...]
    open: bool  # whether further axes may follow


def parse(spec: str) -> Spec:
    kind, *names = spec.split()
    is_open = names[-1:] == ["..."]
    axes = []
    for text in names[: len(names) - is_open]:
        terms = []
        for term in text.split("+"):
            factor, _, name = term.rpartition("*")
            terms.append((name, int(factor or 1)))
        axes.append(Axis(text, text.isidentifier(), tuple(terms)))
    return Spec(kind, tuple(axes), is_open)


def takes(**specs: str) -> Callable[..., Any]:
    """Declare and validate the tensors that a function takes.

    The function is called with tensors of the backend. Called with a symbolic
    tensor, as those of `keras.Input`, it becomes an operation of the model.

    Args:
        specs: the declaration of each tensor by the argument's name. A
            parameter whose default is None may be None.
    """
    parsed = {name: parse(spec) for name, spec in specs.items()}

    def decorate(function: Callable[..., R]) -> Callable[..., R]:
        parameters = inspect.signature(function).parameters
        names = tuple(parameters)
        optional = {n for n, p in parameters.items() if p.default is None}

        @functools.wraps(function)
        def validated(*args: Any, **kwargs: Any) -> Any:
            given = dict(zip(names, args, strict=False), **kwargs)
            if len(given) < len(args) + len(kwargs) or not (
                given.keys() <= parameters.keys()
            ):
                return function(*args, **kwargs)  # for Python's TypeError
            sizes: dict[str, int] = {}
            for name, spec in parsed.items():
                if name not in given or (
                    given[name] is None and name in optional
                ):
                    continue
                if isinstance(given[name], keras.KerasTensor):
                    return SymbolicCall.create(validated, given)
                given[name] = to_tensor(name, given[name], spec, sizes)
            return function(**given)

        if "self" not in parameters:
            FUNCTIONS[function.__name__] = validated
        return validated

    return decorate


def to_tensor(
    name: str, x: Any, spec: Spec, sizes: dict[str, int] | None = None
) -> Tensor:
    """A tensor of the kind and the axes of a declaration."""
    dtypes, expected = KINDS[spec.kind]
    if isinstance(x, np.ndarray) or not ops.is_tensor(x):
        x = _converted(name, x, spec.kind, expected)
    if hasattr(x, "row_splits"):  # TensorFlow's ragged tensors
        expected += ", padded: x.to_tensor(), with lengths=x.row_lengths()"
        raise_invalid(name, expected, Unquoted("a ragged tensor"))
    dtype = NAMES.get(x.dtype) or dtype_of(x)
    if dtype not in dtypes:
        if spec.kind == "lengths" and dtype == "bool":
            expected += " (masks are passed by name)"
        raise_invalid(name, expected, Unquoted(f"dtype {dtype}"))
    shape, axes = x.shape, spec.axes
    rank = len(shape)
    if spec.kind == "lengths" and rank == 2 and known(shape[1]) in (1, None):
        rank = 1
    if rank < len(axes) or (rank > len(axes) and not spec.open):
        _raise_shape(name, shape, spec)
    sizes = {} if sizes is None else sizes
    sums = []  # checked last, since the other axes may tell their terms
    # No function calls in this loop: it runs for every tensor of every call.
    for axis, size in zip(axes, shape, strict=False):
        if not isinstance(size, int) or size in STAND_INS:
            continue
        if not axis.is_name:
            sums.append((axis, size))
        elif sizes.setdefault(axis.text, size) != size:
            why = f" with {axis.text} = {sizes[axis.text]}"
            _raise_shape(name, shape, spec, why)
    for axis, size in sums:
        _check_sum(name, shape, spec, axis, size, sizes)
    if spec.kind == "bool" and dtype != "bool":
        return ops.cast(x, "bool")
    if spec.kind == "lengths":
        return ops.reshape(ops.cast(x, "float32"), (-1, 1))
    return x


def _check_sum(
    name: str,
    shape: Shape,
    spec: Spec,
    axis: Axis,
    size: int,
    sizes: dict[str, int],
) -> None:
    """Check a size that is a sum, and solve for a single unknown term."""
    unknown = [term for term in axis.terms if term[0] not in sizes]
    if len(unknown) > 1:
        return
    rest = size - sum(sizes.get(n, 0) * factor for n, factor in axis.terms)
    if unknown:
        ((term, factor),) = unknown
        value, rest = divmod(rest, factor)
        if not rest and value >= 0:
            sizes[term] = value
            return
    elif not rest:
        return
    named = [f"{n} = {sizes[n]}" for n, _ in axis.terms if n in sizes]
    why = f" with {' and '.join(named)}" if named else ""
    _raise_shape(name, shape, spec, why)


def _converted(name: str, x: Any, kind: str, expected: str) -> Tensor:
    if kind == "lengths" and isinstance(x, np.ndarray):
        # Not as integers: JAX makes int32 of int64, which wraps, and PyTorch
        # has no arithmetic for uint64 (docs/upstream).
        if x.dtype.name not in KINDS[kind][0]:
            raise_invalid(name, expected, Unquoted(f"dtype {x.dtype}"))
        return ops.convert_to_tensor(x, "float32")
    try:
        x = ops.convert_to_tensor(x)
        dtype_of(x)
    except Exception:  # each backend raises different types
        raise_invalid(name, expected, describe_inputs(x))
    return x


def _raise_shape(name: str, shape: Shape, spec: Spec, why: str = "") -> None:
    axes = [axis.text for axis in spec.axes] + ["..."] * spec.open
    comma = "," if len(axes) == 1 else ""
    expected = f"shape ({', '.join(axes)}{comma}){why}"
    if spec.kind == "lengths":
        expected += f" or ({axes[0]}, 1)"
    raise_invalid(name, expected, tuple(map(known, shape)))


def float_vector(name: str, x: Any, dim: int | None) -> Tensor:
    """A float tensor `(dim,)`."""
    size = known(dim)
    sizes = {} if size is None else {"dim": size}
    return to_tensor(name, x, parse("float dim"), sizes)


def check_broadcastable(name: str, shape: Shape, to: Shape) -> None:
    """Raise unless a shape can be broadcast to another."""
    pairs = zip(map(known, shape[::-1]), map(known, to[::-1]), strict=False)
    fits = len(shape) <= len(to) and all(
        size == 1 or None in (size, wanted) or size == wanted
        for size, wanted in pairs
    )
    if not fits:
        expected = f"a shape that can be broadcast to {tuple(to)}"
        raise_invalid(name, expected, tuple(shape))


FUNCTIONS: dict[str, Callable[..., Any]] = {}


@keras.saving.register_keras_serializable(package="kseq")
class SymbolicCall(keras.Operation):
    """A call of a function of `kseq.ops` inside a functional model."""

    def __init__(
        self, function: str, options: dict[str, Any], name: str | None = None
    ) -> None:
        super().__init__(name=name)
        self.function = function
        self.options = options

    @classmethod
    def create(cls, function: Any, given: dict[str, Any]) -> Any:
        tensors = {n: x for n, x in given.items() if _holds_tensors(x)}
        options = {n: x for n, x in given.items() if n not in tensors}
        return cls(function.__name__, options)(**tensors)

    def call(self, **tensors: Any) -> Any:
        return FUNCTIONS[self.function](**tensors, **self.options)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "function": self.function,
            "options": self.options,
        }


def _holds_tensors(x: Any) -> bool:
    return any(hasattr(leaf, "shape") for leaf in keras.tree.flatten(x))
