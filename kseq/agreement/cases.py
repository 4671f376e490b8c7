"""The cases that every backend computes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from kseq.agreement.tables import DTYPES, KINDS
from kseq.checks import (
    check_instance,
    check_items,
    check_one_of,
    check_path,
    raise_invalid,
)
from kseq.scripts import load_script


@dataclass(frozen=True)
class Case:
    """A layer, or a function of tensors, and the arguments to call it with.

    Args:
        name: a name that is unique within a run; part of the record's keys.
        build: a function that returns a new `(layer, inputs)` or
            `(layer, inputs, keyword arguments)`. Inputs are one NumPy array or
            a list of arrays, the same on every backend. Gradients are computed
            for floating-point inputs.
        reference: a NumPy implementation, `reference(inputs, weights) ->
            outputs`, or None. It receives float64 arrays, and complex ones to
            differentiate it (`kseq.agreement.reference`); `weights` is a list
            in the layer's order. Its outputs have the shapes of the layer's
            outputs.
        dtypes: the dtype policies to compute under. Float64 shows that the
            mathematics is the same; float32 shows the effect of rounding.
        kinds: the computations, from "forward", "forward_compiled",
            "gradients", "gradients_compiled" and "fit".

    Raises:
        ValueError: if an argument is invalid.
    """

    name: str
    build: Callable[[], tuple[Any, ...]]
    reference: Callable[[list[Any], list[Any]], Any] | None = None
    dtypes: Sequence[str] = ("float64", "float32")
    kinds: Sequence[str] = KINDS

    def __post_init__(self) -> None:
        # Record keys join names with "/", and a NUL would truncate a key in
        # the .npz file.
        printable = isinstance(self.name, str) and self.name.isprintable()
        if not printable or not self.name or "/" in self.name:
            raise_invalid("name", 'a printable string without "/"', self.name)
        check_instance("build", self.build, Callable, "a function")
        if self.reference is not None:
            expected = "a function or None"
            check_instance("reference", self.reference, Callable, expected)
        for field, known in (("dtypes", DTYPES), ("kinds", KINDS)):
            name = f"{field} of case {self.name!r}"
            values = getattr(self, field)
            for value in check_items(name, values, str, f"values from {known}"):
                check_one_of(name, value, known)


@overload
def case(build: Callable[[], tuple[Any, ...]]) -> Case: ...


@overload
def case(**options: Any) -> Callable[[Callable[[], tuple[Any, ...]]], Case]: ...


def case(
    build: Callable[[], tuple[Any, ...]] | None = None, **options: Any
) -> Any:
    """Turn a function that returns `(layer, inputs)` into a `Case`.

    The case takes the name of the function.

    Args:
        build: the function.
        **options: `reference`, `dtypes` or `kinds`, as for `Case`.

    Raises:
        ValueError: if an argument is invalid, or `name` is given.

    Example:

    >>> import keras, numpy as np
    >>> from kseq.agreement import case
    >>> @case(dtypes=("float32", "float64"))
    ... def average():
    ...     x = np.arange(24.0).reshape(2, 3, 4)
    ...     return keras.layers.GlobalAveragePooling1D(), x
    >>> average.name
    'average'
    """
    if "name" in options:
        expected = "no name, since the case is named after its function"
        raise_invalid("name", expected, options["name"])
    if build is None:
        return lambda function: Case(function.__name__, function, **options)
    check_instance("build", build, Callable, "a function")
    return Case(build.__name__, build, **options)


def load_cases(module: str | Path) -> list[Case]:
    """Load the cases that a Python file defines, in order of definition.

    Raises:
        ValueError: if the file does not exist, defines no case, or defines two
            cases with the same name.
    """
    path = check_path("module", module)
    loaded = load_script("module", path, "kseq_cases")
    found = [v for v in vars(loaded).values() if isinstance(v, Case)]
    cases = list({id(case): case for case in found}.values())
    if not cases:
        raise_invalid(
            "module", "a file with functions decorated by @case", str(path)
        )
    names = [case.name for case in cases]
    if len(set(names)) < len(names):
        raise_invalid("module", "cases with unique names", names)
    return cases
