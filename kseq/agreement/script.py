"""Short scripts that show one failure alone."""

import hashlib
import pprint
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np

from kseq.agreement.compare import Failure
from kseq.agreement.computation import Computation, is_factory
from kseq.agreement.record import Result
from kseq.files import replace_text, replacing

# Where Keras's public functions and classes are.
NAMESPACES = (
    "ops",
    "ops.image",
    "ops.linalg",
    "layers",
    "losses",
    "activations",
    "metrics",
)
INLINE = 40  # elements


def recipe(computation: Computation) -> tuple[str, str, dict[str, Any]]:
    """Return imports, an expression for the call, and its arrays.

    The expression is empty if the function has no name that can be imported.
    """
    function: Any = computation.function
    if is_factory(function):
        imports, name = _import(function.func)
        options = [*map(repr, function.args)]
        options += [f"{n}={x!r}" for n, x in function.keywords.items()]
        name = name and f"partial({', '.join([name, *options])})"
        imports = "\n".join(["from functools import partial", imports]).strip()
    elif isinstance(function, keras.Layer | keras.losses.Loss):
        imports, name = _import(type(function))
        config = pprint.pformat(function.get_config(), compact=True, width=999)
        name = name and f"{name}.from_config({config})"
    else:
        imports, name = _import(function)
    if not name:
        return "", "", {}
    arrays: dict[str, Any] = {}

    def text(x: Any) -> Any:
        if not isinstance(x, np.ndarray):
            return _Text(repr(x))
        arrays[str(len(arrays))] = x
        return _Text(f"a[{str(len(arrays) - 1)!r}]")

    args, kwargs = keras.tree.map_structure(
        text, (tuple(computation.args), dict(computation.kwargs))
    )
    return imports, f"Computation({name}, {args!r}, {kwargs!r})", arrays


class _Text(str):
    __slots__ = ()
    __repr__ = str.__str__


def _import(thing: Any) -> tuple[str, str]:
    """Return an import line and the name of a function or class."""
    name = getattr(thing, "__name__", "")
    for namespace in NAMESPACES:
        module: Any = keras
        for part in namespace.split("."):
            module = getattr(module, part, ModuleType("none"))
        if getattr(module, name, None) is thing:
            return "", f"keras.{namespace}.{name}"
    module = getattr(thing, "__module__", "")
    qualified = getattr(thing, "__qualname__", "<>")
    if module not in sys.modules or "<" in qualified or module == "__main__":
        return "", ""
    line = f"from {module} import {qualified.split('.')[0]}"
    return _path_of(module) + line, qualified


def _path_of(module: str) -> str:
    """Return lines that make a module importable, if it is not installed."""
    file = getattr(sys.modules[module], "__file__", None)
    if file is None or "site-packages" in Path(file).parts:
        return ""
    is_package = Path(file).stem == "__init__"
    root = Path(file).parents[module.count(".") + is_package]
    return f"import sys\nsys.path.append({str(root)!r})\n"


def write_script(
    folder: Path,
    test: str,
    results: Mapping[str, Result],
    failures: Sequence[Failure],
) -> Path | None:
    """Write a script for the first failure, and its arrays beside it.

    Returns:
        The script's path, or None if the function cannot be imported.
    """
    failure = next((f for f in failures if f.kind and f.policy), None)
    if failure is None:
        return None
    entries = [
        e
        for result in results.values()
        for e in result.entries
        if e.call == failure.call and e.expression
    ]
    if not entries or failure.kind == "layers":
        return None
    entry = entries[0]
    name = re.sub(r"\W+", "-", test.partition("::")[2]).strip("-")[:60]
    digest = hashlib.sha256(f"{test}{failure.call}".encode()).hexdigest()[:6]
    path = folder / f"{name}-{digest}.py"
    if sum(x.size for x in entry.arguments.values()) <= INLINE:
        items = (
            f"{n!r}: np.array({x.tolist()!r}, {x.dtype.name!r})"
            for n, x in entry.arguments.items()
        )
        arrays = "{" + ", ".join(items).replace("nan", "np.nan") + "}"
        arrays = re.sub(r"\binf\b", "np.inf", arrays)
    else:
        with replacing(path.with_suffix(".npz")) as file:
            np.savez_compressed(file, **entry.arguments)
        arrays = f"np.load({str(path.with_suffix('.npz'))!r})"
    first = failure.text.splitlines()[0]
    backends = " and once with ".join(f"KERAS_BACKEND={n}" for n in results)
    lines = [
        f"# {test}",
        f"# {failure.where}: {first}",
        f"# Run once with {backends}",
        "import keras",
        "import numpy as np",
        *([entry.imports] if entry.imports else []),
        "from kseq.agreement import Computation, measure",
        f"a = {arrays}",
        f"computation = {entry.expression}",
        f"found = measure(computation, {failure.policy!r}, {failure.kind!r})",
        "for name, value in found.values.items():",
        "    print(name, value, sep='\\n')",
    ]
    replace_text(path, "\n".join(lines) + "\n")
    return path
