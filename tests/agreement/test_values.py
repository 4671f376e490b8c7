"""Differences of arrays between runs: limits, sentences, known ones."""

import collections

import keras
import numpy as np
import pytest

from kseq.agreement import Agreement
from kseq.agreement.compare import Comparison, compare_test
from kseq.agreement.known import Known, known_from, settings_of
from kseq.agreement.measure import structure
from kseq.agreement.record import Entry, Result
from kseq.agreement.tables import smallest
from kseq.agreement.values import Limits, find_difference

pytestmark = pytest.mark.once

FLOAT32 = Limits(2e-6, "float32")


def difference(limits=FLOAT32, **values):
    arrays = {n: x if x is None else np.asarray(x) for n, x in values.items()}
    return find_difference(arrays, limits)


@pytest.mark.parametrize(
    ("values", "groups", "text"),
    [
        (
            {"a": [1.0, 2], "b": [1, 3.0], "c": [1, 2.0]},
            [("a", "c"), ("b",)],
            "b alone differs at (1,): b 3, a = c 2",
        ),
        (
            {"a": 1.0, "b": 2.0, "c": 3.0},
            [("a",), ("b",), ("c",)],
            "the runs differ: a 1, b 2, c 3",
        ),
        (
            {"a": [[1.0]], "b": [[2.0]], "reference": [[2.0]]},
            [("a",), ("b", "reference")],
            "the runs differ at (0, 0): a 1, b 2, reference 2",
        ),
        (
            {"a": [1.0], "reference": [2.0]},
            [("a",), ("reference",)],
            "a differs from the reference at (0,): a 1, reference 2",
        ),
        (
            {"a": [1.0, np.nan], "b": [1.0, 2.0]},
            [("a",), ("b",)],
            "the runs differ at (1,): a nan, b 2",
        ),
        (
            {"a": [1, 2, 3], "b": [[1]], "c": [3, 2, 1]},
            [("a", "c"), ("b",)],
            "b alone differs in shape: b (1, 1), a = c (3,)",
        ),
    ],
)
def test_a_difference_is_described(values, groups, text):
    found = difference(**values)
    assert (found.groups, found.text) == (tuple(groups), text)


@pytest.mark.parametrize(
    "values",
    [
        {"a": [np.nan, np.inf, -np.inf, 1], "b": [np.nan, np.inf, -np.inf, 1]},
        {"a": None, "b": [0.0, 0.0]},
        {"a": None, "b": None},
        {"a": np.zeros((0, 2)), "b": np.zeros((0, 2))},
        {"a": [0.0, -0.0], "b": [-0.0, 0.0]},
        {"a": [True], "b": [True]},
        {"a": [5, 7], "b": [5, 7], "reference": [5.0, 7.0]},
    ],
)
def test_equal_values_agree(values):
    assert difference(**values) is None


@pytest.mark.parametrize(
    ("limits", "largest", "smallest"),
    [
        # Without sensitivities, relative to the largest element.
        (Limits(1e-5, "float32"), 1e-2, 1e-2),
        # A floor, for gradients.
        (Limits(1e-5, "float32", 1e4), 1e-1, 1e-1),
        # Well-conditioned elements: 64 roundings, 2 ** -23 each, of their own.
        (Limits(1e-5, "float32", 0, [1e-6, 1e-6]), 1e-2, 6.48e-5),
        # Ill-conditioned ones.
        (Limits(1e-5, "float32", 0, [1, 1e-3]), 64, 0.064),
    ],
)
def test_limits(limits, largest, smallest):
    values = np.array([1e3, 1e-1])
    allowed = limits.allowed([values, values])
    np.testing.assert_allclose(allowed, [largest, smallest], rtol=0.02)
    for factor, agrees in ((0.97, True), (1.03, False)):
        for change in ([largest, 0], [0, smallest]):
            other = values + factor * np.array(change)
            found = difference(limits, a=values, b=other)
            assert (found is None) == agrees


def entry(value, policy="float32", **fields):
    values = {"output": np.asarray(value, "float32")}
    return Entry(0, "f", policy, "forward", values, **fields)


def failures(entries, known=(), marked=()):
    results = {
        run: Result("t.py::test", "t.py", 3, entries=[e], known=[*marked])
        for run, e in entries.items()
    }
    comparison = Comparison([])
    backends = {run: run for run in entries}
    compare_test(comparison, "t.py::test", results, backends, known)
    return comparison.failures, comparison.known


def test_a_failure_says_where_and_who():
    wrong = {"torch": entry([1, 3]), "jax": entry([1, 2])}
    (failure,), _ = failures({"tensorflow": entry([1, 2]), **wrong})
    assert str(failure) == (
        "f, float32 forward, output: torch alone differs at (1,): torch 3, "
        "tensorflow = jax 2"
    )
    assert failure.runs == ("torch",)
    assert (failure.file, failure.line) == ("t.py", 3)


def test_finite_rejects_equal_infinities():
    same = {"a": entry([np.inf], finite=True), "b": entry([np.inf])}
    texts = [failure.text for failure in failures(same)[0]]
    assert texts == ["a has NaN or infinity", "b has NaN or infinity"]


def test_errors_say_on_which_backends_they_came():
    found, _ = failures(
        {"a": entry(1, error="E1"), "b": entry(1, error="E1"), "c": entry(1)}
    )
    assert [f.text for f in found] == ["a and b raised E1\nE1"]


def agree(a, b):
    return not failures({"torch": a, "jax": b})[0]


def test_denormals_may_be_flushed_to_zero():
    limits = {"sensitivities": {"output": np.zeros(2)}}
    denormal, normal = smallest("float32") / 8, smallest("float32") * 8
    assert agree(entry([1, denormal], **limits), entry([1, 0], **limits))
    assert not agree(entry([1, normal], **limits), entry([1, 0], **limits))


def test_a_narrowed_dtype_is_explained():
    a, b = (
        entry([1.0], "float64", facts={"output dtype": dtype})
        for dtype in ("float64", "float32")
    )
    assert not agree(a, b)
    b.narrowed = ["ops.f"]
    assert agree(a, b)


def test_a_cast_of_the_function_itself_is_not_explained():
    def narrow(x):
        return keras.ops.cast(keras.ops.cast(x, "float32"), "float64")

    agreement = Agreement("test", raises=False)
    x = np.array([[1.0, 2.0]])
    agreement(narrow, x, dtypes="float64", kinds="forward")
    assert not agreement.entries[0].narrowed


def test_named_tuples_may_be_lists_or_tuples():
    pair = collections.namedtuple("Pair", "values, indices")(1, 2)
    named, *others = (
        entry(1.0, facts={"structure": structure(x)})
        for x in (pair, (1, 2), [1, 2])
    )
    assert all(agree(named, other) for other in others)
    assert not agree(*others)


def test_a_known_difference_is_strict():
    known = Known("b", "a fault", kinds="forward", policies="float32")
    right, wrong = entry([1.0, 2.0]), entry([1.0, 3.0])
    runs = {"a": right, "b": wrong, "c": right}
    assert failures(runs, [known]) == ([], {known: True})
    assert failures({"a": right, "b": right}, [known]) == ([], {known: False})
    # Without its backend, nothing is known.
    assert failures({"a": right, "c": right}, [known]) == ([], {})
    # Another backend, and another kind.
    for other in (Known("a", "x"), Known("b", "x", kinds="fit")):
        found, seen = failures(runs, [other])
        assert found
        assert not any(seen.values())
    both = [Known("b", "x"), Known("c", "x")]
    found, seen = failures({"a": right, "b": wrong, "c": wrong}, both)
    assert (found, [*seen.values()]) == ([], [True, True])
    marked = {"backend": "b", "reason": "a fault"}
    (gone,), _ = failures({"a": right, "b": right}, marked=[marked])
    assert gone.text.startswith("the known difference of b in t.py::test is")


def test_known_differences_of_a_project(tmp_path):
    path = tmp_path / "pyproject.toml"
    assert settings_of(path) == ([], True)
    path.write_text(
        "[tool.kseq.agreement]\nexplain = false\n"
        '[[tool.kseq.agreement.known]]\nbackend = "torch"\nreason = "why"\n'
        'test = "*::a"\nkinds = "fit gradients"\ndtypes = ["float32"]\n'
    )
    (known,), explain = settings_of(path)
    assert not explain
    assert (known.kinds, known.policies) == (("fit", "gradients"), ("float32",))
    assert known.matches("float32", "fit")
    assert not known.matches("float64", "fit")
    path.write_text("[tool.kseq.agreement]\nexplian = false\n")
    with pytest.raises(ValueError, match="explian"):
        settings_of(path)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"backend": "torch"}, "'reason'"),
        ({"backend": "torch", "reason": "x", "kinds": "back"}, "kinds"),
        ({"backend": "torch", "reason": " "}, "reason"),
        ({"backend": "torch", "reason": "x", "other": 1}, "other"),
    ],
)
def test_invalid_known_differences_raise(table, words):
    with pytest.raises(ValueError, match=words):
        known_from(table)
