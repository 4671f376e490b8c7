"""What is computed on every backend."""

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
    """A layer, or a function of tensors, and what it is called with.

    Args:
        name: unique among the cases of a run; part of the keys of its record.
        build: makes `(layer, inputs)` or `(layer, inputs, keyword arguments)`
            anew. Inputs are one NumPy array or a list of them, and the same on
            every backend; gradients are taken for those of floats.
        reference: the same in NumPy, `reference(inputs, weights) -> outputs`,
            or None. It is called with float64 arrays, and with complex ones to
            differentiate it (`kseq.agreement.reference`); `weights` is a list
            in the layer's order. Outputs have the shapes of the layer's.
        dtypes: the dtype policies to run under: float64, which shows that the
            mathematics is the same, and float32.
        kinds: what to compute, of "forward", "forward_compiled", "gradients",
            "gradients_compiled" and "fit".

    Raises:
        ValueError: an argument is none of these.
    """

    name: str
    build: Callable[[], tuple[Any, ...]]
    reference: Callable[[list[Any], list[Any]], Any] | None = None
    dtypes: Sequence[str] = ("float64", "float32")
    kinds: Sequence[str] = KINDS

    def __post_init__(self) -> None:
        # Keys of a record are made of names, and in its file a "\0" ends them.
        text = isinstance(self.name, str) and self.name.isprintable()
        if not text or not self.name or "/" in self.name:
            raise_invalid("name", 'a printable text without "/"', self.name)
        check_instance("build", self.build, Callable, "a function")
        if self.reference is not None:
            expected = "a function or None"
            check_instance("reference", self.reference, Callable, expected)
        for field, known in (("dtypes", DTYPES), ("kinds", KINDS)):
            name = f"{field} of case {self.name!r}"
            values = getattr(self, field)
            for value in check_items(name, values, str, f"some of {known}"):
                check_one_of(name, value, known)


@overload
def case(build: Callable[[], tuple[Any, ...]]) -> Case: ...


@overload
def case(**options: Any) -> Callable[[Callable[[], tuple[Any, ...]]], Case]: ...


def case(
    build: Callable[[], tuple[Any, ...]] | None = None, **options: Any
) -> Any:
    """Make a function that returns `(layer, inputs)` a case of its name.

    Args:
        build: the function.
        **options: `reference`, `dtypes` or `kinds` of the `Case`.

    Raises:
        ValueError: as `Case`, or a name is given.

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
        expected = "nothing, since the function's name is the case's"
        raise_invalid("name", expected, options["name"])
    if build is None:
        return lambda function: Case(function.__name__, function, **options)
    check_instance("build", build, Callable, "a function")
    return Case(build.__name__, build, **options)


def load_cases(module: str | Path) -> list[Case]:
    """The cases of a Python file, in the order of their definition.

    Raises:
        ValueError: there is no such file, it holds no case, or two of one
            name.
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
        raise_invalid("module", "cases of different names", names)
    return cases
