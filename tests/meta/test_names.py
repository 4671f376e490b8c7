"""What may be imported where, and what is public."""

import ast
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import kseq
import kseq.ops

PACKAGE = Path(kseq.__file__).parent
BACKENDS = {"tensorflow", "torch", "jax", "openvino"}
KNOWS_BACKENDS = ("kseq.agreement.probes", "kseq.ops.backends")
IMPORTERS = ("import", "find_spec", "sys.modules")

# What each room sees of the others: checks <- ops <- layers <- models, and what
# stands beside them. `kseq` itself is the package's own __init__.
SEES = {
    "kseq": {
        "kseq.feature_column",
        "kseq.installed",
        "kseq.layers",
        "kseq.models",
        "kseq.ops",
    },
    "kseq.__main__": {"kseq", "kseq.agreement", "kseq.installed"},
    "kseq.installed": set(),
    "kseq.types": set(),
    "kseq.checks": {"kseq.types"},
    "kseq.hashing": {"kseq.checks"},
    "kseq.ops": {"kseq.checks", "kseq.types"},
    "kseq.layers": {"kseq.checks", "kseq.ops", "kseq.types"},
    "kseq.feature_column": {"kseq.checks", "kseq.types"},
    "kseq.models": {
        "kseq.checks",
        "kseq.feature_column",
        "kseq.layers",
        "kseq.types",
    },
    "kseq.files": {"kseq.checks"},
    "kseq.scripts": {"kseq.checks"},
    "kseq.export": {
        "kseq.checks",
        "kseq.files",
        "kseq.installed",
        "kseq.types",
    },
    "kseq.convert": {"kseq.checks", "kseq.files", "kseq.scripts"},
    "kseq.agreement": {
        "kseq",  # only where it lies, to hash its sources
        "kseq.checks",
        "kseq.files",
        "kseq.installed",
        "kseq.ops",
        "kseq.scripts",
        "kseq.types",
    },
}


def module_name(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(module):
    return ".".join(module.split(".")[:2])


def imported(tree, package):
    """The modules that import statements name, in a file of `package`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: 1 - node.level or None]
            parents = parents if node.level else []
            module = ".".join([*parents, *filter(None, [node.module])])
            yield module
            # `from keras import src`, `from kseq import layers`
            yield from (f"{module}.{alias.name}" for alias in node.names)


def named(tree):
    """The modules that are reached for by a string, or as an attribute."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield ast.unparse(node)  # keras.src, after `import keras`
        elif isinstance(node, ast.Constant) and is_private(node.value):
            yield node.value
        elif isinstance(node, (ast.Call, ast.Subscript)):
            # Elsewhere "torch" may well be the name of a backend.
            reached = node.func if isinstance(node, ast.Call) else node.value
            if any(word in ast.unparse(reached) for word in IMPORTERS):
                yield from (
                    found.value
                    for found in ast.walk(node)
                    if isinstance(found, ast.Constant)
                    and isinstance(found.value, str)
                )


def is_private(name):
    return isinstance(name, str) and f"{name}.".startswith("keras.src.")


def forbidden(source):
    """The backends and Keras's private parts that a source reaches for."""
    tree = ast.parse(source)
    return {
        name
        for name in [*imported(tree, "kseq"), *named(tree)]
        if name.split(".")[0] in BACKENDS or is_private(name)
    }


def unseen(source, module, package):
    """The rooms that a source in `module` uses and must not."""
    own = room(module)
    used = {
        room(name)
        for name in imported(ast.parse(source), package)
        if name.split(".")[0] == "kseq" and is_module(name)
    }
    return used - SEES[own] - {own}


def is_module(name):
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


FILES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def test_every_room_has_its_rule():
    assert {room(module) for module in FILES} == SEES.keys()


@pytest.mark.parametrize("module", FILES)
def test_no_backend_and_nothing_private_is_imported(module):
    found = forbidden(FILES[module].read_text())
    if module.startswith(KNOWS_BACKENDS):
        found = {name for name in found if name.startswith("keras.src")}
    assert not found


@pytest.mark.parametrize("package", KNOWS_BACKENDS)
def test_there_is_a_reason_for_each_exception(package):
    named_so = [m for m in FILES if m.startswith(f"{package}.tensorflow")]
    assert all(
        "tensorflow" in forbidden(FILES[m].read_text()) for m in named_so
    )
    assert named_so


@pytest.mark.parametrize(
    "source",
    [
        "import torch",
        "import torch.nn as nn",
        "import numpy, tensorflow as tf",
        "from jax import numpy",
        "from jax.numpy import exp",
        "def f():\n    import openvino",
        "import keras.src",
        "import keras.src.backend as b",
        "from keras import src",
        "from keras.src import backend",
        "from keras.src.backend.torch import core",
        "import keras\nx = keras.src.backend",
        "import importlib\nimportlib.import_module('torch')",
        "__import__('tensorflow')",
        "import_module(name='keras.src.ops')",
        "import sys\nsys.modules.get('jax')",
        "import sys\nsys.modules['torch']",
        "name = 'keras.src.backend'",
    ],
)
def test_a_forbidden_import_is_seen(source):
    assert forbidden(source)


@pytest.mark.parametrize(
    "source",
    [
        "import keras\nfrom keras import ops",
        "'''import torch'''",
        "# import torch",
        "x = 'torch'",
        "keras.backend.backend() == 'torch'",
        "from kseq.agreement import probes",
        "import torchlike",
        "LeftOut('openvino', 'it has no float64')",
        '"keras.src is private to Keras."',
    ],
)
def test_what_is_allowed_is_let_through(source):
    assert not forbidden(source)


@pytest.mark.parametrize("module", FILES)
def test_rooms_see_in_one_direction(module):
    path = FILES[module]
    package = (
        module if path.name == "__init__.py" else module.rpartition(".")[0]
    )
    assert not unseen(path.read_text(), module, package)


@pytest.mark.parametrize(
    ("module", "source", "seen"),
    [
        ("kseq.checks", "from kseq.ops import masks", {"kseq.ops"}),
        ("kseq.types", "import kseq.checks", {"kseq.checks"}),
        ("kseq.ops.x", "from kseq.layers.core import DNN", {"kseq.layers"}),
        ("kseq.ops.x", "from kseq import layers", {"kseq", "kseq.layers"}),
        ("kseq.ops.x", "from ..layers import core", {"kseq.layers"}),
        ("kseq.ops.x", "from .. import layers", {"kseq", "kseq.layers"}),
        ("kseq.ops.x", "def f():\n  import kseq.convert", {"kseq.convert"}),
        ("kseq.layers.x", "import kseq.agreement", {"kseq.agreement"}),
        ("kseq.layers.x", "from kseq.models import DIN", {"kseq.models"}),
        ("kseq.models.x", "from kseq.ops import linear", {"kseq.ops"}),
        ("kseq.convert.x", "from kseq.layers import DNN", {"kseq.layers"}),
        ("kseq.agreement.x", "from kseq.layers import DNN", {"kseq.layers"}),
        ("kseq.layers.x", "from kseq.ops import linear", set()),
        ("kseq.ops.x", "from .masks import y", set()),
    ],
)
def test_a_look_in_the_wrong_direction_is_seen(module, source, seen):
    assert unseen(source, module, module.rpartition(".")[0]) == seen


def test_what_ops_exports_are_functions_of_its_own():
    for name, value in exported().items():
        assert inspect.isfunction(value), name
        assert value.__module__.startswith("kseq.ops."), name
        assert value.__name__ == name


# Of the modules' own business, though other modules of kseq use them.
INTERNAL = {
    "add_keys",
    "check_axes",
    "check_function",
    "check_mask",
    "check_spreads",
    "cut_kernel",
    "expand_mask",
    "faster_form",
    "step_numbers",
    "to_bools",
    "to_floats",
    "to_floats_each",
    "to_lengths",
    "to_tensor",
    "to_valid",
}


def exported():
    return {
        name: value
        for name, value in vars(kseq.ops).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }


def test_ops_exports_every_public_function():
    defined = set()
    for found in pkgutil.iter_modules(kseq.ops.__path__, "kseq.ops."):
        module = importlib.import_module(found.name)
        defined |= {
            name
            for name, value in inspect.getmembers(module, inspect.isfunction)
            if value.__module__ == found.name and not name.startswith("_")
        }
    assert exported().keys() == defined - INTERNAL
    assert defined >= INTERNAL
