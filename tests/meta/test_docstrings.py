"""What docstrings say is there, complete, and its examples run."""

import doctest
import importlib
import inspect
import pkgutil

import keras
import pytest

import kseq
import kseq.agreement
import kseq.convert.deepctr
import kseq.export
import kseq.feature_column
import kseq.layers
import kseq.models
import kseq.ops

# Another backend's probe or loop cannot be imported, and __main__ would run.
FOREIGN = (
    "kseq.agreement.probes.",
    "kseq.ops.backends.",
    "kseq.agreement.__main__",
)

SECTIONS = ("Args", "Returns", "Example")
LAYER_SECTIONS = (
    *SECTIONS,
    "Call arguments",
    "Raises",
    "Differences from DeepCTR",
)
# DeepCTR takes Keras's layer here.
WITHOUT_COUNTERPART = {"BatchNormalization"}


def modules():
    yield kseq
    for found in pkgutil.walk_packages(kseq.__path__, "kseq."):
        if not found.name.startswith(FOREIGN):
            yield importlib.import_module(found.name)


def examples(found):
    finder = doctest.DocTestFinder(exclude_empty=True)
    return [test for test in finder.find(found) if test.examples]


def run(example):
    """What went wrong, as doctest says it; "" where all is as written."""
    said = []
    doctest.DocTestRunner(verbose=False).run(example, out=said.append)
    return "".join(said)


def public(package):
    """The functions and classes of its own that a package exports, by name."""
    return {
        name: value
        for name, value in vars(package).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__.startswith(package.__name__)
    }


def missing_sections(documented, wanted):
    lines = (inspect.getdoc(documented) or "").splitlines()
    return [section for section in wanted if f"{section}:" not in lines]


EXAMPLES = [example for module in modules() for example in examples(module)]
OPS = public(kseq.ops)
LAYERS = public(kseq.layers)
MODELS = {n: v for n, v in public(kseq.models).items() if n.isupper()}
COLUMNS = {
    name: value
    for name, value in public(kseq.feature_column).items()
    if not inspect.isabstract(value)  # made by nobody: no arguments
}
EXPORTED = {
    f"{package.__name__}.{name}": value
    for package in (
        kseq.ops,
        kseq.layers,
        kseq.feature_column,
        kseq.models,
        kseq.convert.deepctr,
        kseq.export,
        kseq.agreement,
    )
    for name, value in public(package).items()
}


# Examples that are for some backends, and why.
RUNS_ON = {
    "kseq.export.compare.export": (
        ("tensorflow", "torch"),
        "it exports to nothing of its own",
    )
}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.name)
def test_example_runs_on_this_backend(example):
    backends, reason = RUNS_ON.get(example.name, (None, ""))
    if backends and keras.backend.backend() not in backends:
        pytest.skip(reason)
    failures = run(example)
    assert not failures, failures


def test_examples_are_found_in_every_room():
    assert RUNS_ON.keys() <= {example.name for example in EXAMPLES}
    rooms = {".".join(e.name.split(".")[:2]) for e in EXAMPLES}
    assert rooms >= {
        "kseq.agreement",
        "kseq.checks",
        "kseq.convert",
        "kseq.export",
        "kseq.feature_column",
        "kseq.layers",
        "kseq.models",
        "kseq.ops",
    }


def test_a_wrong_example_is_seen():
    def wrong():
        """
        >>> 1 + 1
        3
        """

    (example,) = examples(wrong)
    assert "Expected:\n    3\nGot:\n    2" in run(example)


@pytest.mark.parametrize("name", OPS)
def test_op_has_all_sections(name):
    assert not missing_sections(OPS[name], SECTIONS)


@pytest.mark.parametrize("name", COLUMNS)
def test_column_has_all_sections(name):
    assert not missing_sections(COLUMNS[name], (*SECTIONS, "Raises"))


@pytest.mark.parametrize("name", MODELS)
def test_model_has_all_sections(name):
    wanted = (*SECTIONS, "Raises", "Differences from DeepCTR", "Reference")
    assert not missing_sections(MODELS[name], wanted)


@pytest.mark.parametrize("name", LAYERS)
def test_layer_has_all_sections(name):
    wanted = [
        section
        for section in LAYER_SECTIONS
        if (section != "Differences from DeepCTR")
        or name not in WITHOUT_COUNTERPART
    ]
    if not inspect.isclass(LAYERS[name]):  # positional_encoding
        wanted = [*SECTIONS, "Differences from DeepCTR"]
    assert not missing_sections(LAYERS[name], wanted)


@pytest.mark.parametrize("name", EXPORTED)
def test_what_is_exported_has_a_docstring(name):
    documented = EXPORTED[name]
    # Not getdoc: a class would inherit Keras's.
    assert documented.__doc__
    # dataclass makes one up: the signature.
    assert not documented.__doc__.startswith(f"{documented.__name__}(")


def test_a_missing_section_is_seen():
    def lacking():
        """Does something.

        Args:
            none: no.
        """

    assert missing_sections(lacking, SECTIONS) == ["Returns", "Example"]
