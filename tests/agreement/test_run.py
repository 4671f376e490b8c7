"""`python -m kseq.agreement run` on a file of anyone's."""

import importlib
import re
import sys
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest

import kseq
from kseq.agreement import probes
from kseq.agreement.__main__ import main
from kseq.agreement.cases import Case, load_cases
from kseq.agreement.measure import reference_values
from kseq.agreement.record import (
    fingerprint,
    load_record,
    new_record,
    to_numpy,
)
from kseq.agreement.run import (
    installed,
    loaded_from,
    record_case,
    record_module,
    sources,
)
from kseq.agreement.tables import KINDS, left_out

# Two backends in one environment: the JAX one can compute on NumPy's, which
# imports it, and the NumPy one on both.
TWO_BACKENDS = ("jax", "numpy")
needs_two_backends = pytest.mark.skipif(
    keras.backend.backend() not in TWO_BACKENDS,
    reason="only the environments of jax and numpy hold two backends",
)

AGREES = """
import keras
import numpy as np
from kseq.agreement import case

x = np.linspace(-1.0, 1.0, 24).reshape(2, 4, 3)

@case
def average():
    return keras.layers.GlobalAveragePooling1D(), x
"""

# A layer that forgets a factor on one backend.
DISAGREES = """
import keras
import numpy as np
from kseq.agreement import case

x = np.linspace(-1.0, 1.0, 24).reshape(2, 4, 3)
factor = 1.0 if keras.backend.backend() == "numpy" else 1.001

@case(kinds=("forward",), dtypes=("float32",))
def scaled():
    return keras.layers.Rescaling(factor), x
"""

RAISES = """
from kseq.agreement import case
import numpy as np

def raise_invalid(x):
    raise RuntimeError("not here")

@case(kinds=("forward",), dtypes=("float32",))
def raises():
    return refuse, np.ones(3)

@case(kinds=("forward",), dtypes=("float32",))
def works():
    return abs, np.ones(3)
"""


@pytest.fixture
def module(tmp_path):
    def write(text):
        path = tmp_path / "some_cases.py"
        path.write_text(text)
        return path

    return write


def run(path, *more):
    out = path.parent / "report"
    backends = ",".join(TWO_BACKENDS)
    return main(
        ["run", str(path), "--backends", backends, "--out", str(out), *more]
    )


@needs_two_backends
def test_a_layer_that_agrees(module, capsys):
    path = module(AGREES)
    assert run(path) == 0
    assert "The runs agree" in capsys.readouterr().out
    report = path.parent / "report"
    assert {p.name for p in report.iterdir()} == {
        *("jax.npz", "numpy.npz"),
        *("agreement.json", "agreement.md", "index.html"),
    }
    assert "average" in (report / "index.html").read_text()


@needs_two_backends
def test_a_layer_that_does_not_agree(module, capsys):
    assert run(module(DISAGREES)) == 1
    told = capsys.readouterr().out
    assert "tolerance scaled/float32/forward" in told
    assert "The runs do not agree: 1 failure." in told


def test_a_case_that_raises_is_recorded_and_the_others_go_on(module, tmp_path):
    record_module(module(RAISES), tmp_path / "a.npz")
    record = load_record(tmp_path / "a.npz")
    assert record.run.finished
    assert record.errors == {"raises/float32/forward": "RuntimeError: not here"}
    np.testing.assert_array_equal(
        record.values["works/float32/forward/output 0"], np.ones(3)
    )


def test_an_unknown_backend_is_refused(module, capsys):
    path = module(AGREES)
    assert main(["run", str(path), "--backends", "jax,mxnet"]) == 2
    assert "--backends: expected one of 'tensorflow'" in capsys.readouterr().err


@needs_two_backends
def test_a_run_that_fails_is_told_and_leaves_no_older_report(module, capfd):
    path = module(AGREES)
    assert run(path) == 0
    path.write_text("raise SystemExit('broken file')")
    assert run(path) == 2
    assert "failed: jax, numpy" in capfd.readouterr().err
    assert not list((path.parent / "report").iterdir())


def test_a_file_that_is_no_python_is_refused_before_backends_start(
    module, capfd
):
    assert run(module("def f(:")) == 2
    told = capfd.readouterr()
    assert "module: expected a Python file" in told.err
    assert " on jax ..." not in told.out


@pytest.mark.parametrize(
    ("backends", "message"),
    [
        ("jax", "two or more different backends; received ['jax']"),
        ("jax,jax", "two or more different backends; received ['jax', 'jax']"),
        ("", "two or more different backends; received []"),
    ],
)
def test_backends_of_which_no_two_can_be_compared(
    module, capsys, monkeypatch, backends, message
):
    monkeypatch.setattr("kseq.agreement.run.installed", lambda name: True)
    assert main(["run", str(module(AGREES)), "--backends", backends]) == 2
    told = capsys.readouterr().err
    assert told == f"error: --backends: expected {message}\n"


def test_a_backend_that_is_not_installed_is_told_at_once(
    module, capsys, monkeypatch
):
    monkeypatch.setattr("kseq.agreement.run.installed", "jax".__eq__)
    assert main(["run", str(module(AGREES)), "--backends", "jax,torch"]) == 2
    told = capsys.readouterr().err
    assert told == (
        "error: --backends: expected backends that are installed; received "
        "'torch'\n"
    )


def test_what_is_installed():
    assert installed("numpy")
    assert not installed("no_such_backend")


@needs_two_backends
def test_a_run_without_results_says_why(module, capsys):
    text = AGREES.replace("@case", "@case(dtypes=('float64',))")
    assert run(module(text)) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert "no results: Keras's NumPy backend computes float64" in told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "",
            "module: expected a file with functions decorated by @case; "
            "received '{path}'",
        ),
        (
            """
            import numpy as np
            from kseq.agreement import Case
            one = Case("one", lambda: (abs, np.ones(2)))
            two = Case("one", lambda: (abs, np.ones(2)))
            """,
            "module: expected cases of different names; received "
            "['one', 'one']",
        ),
        (
            """
            from kseq.agreement import case
            @case(dtypes=("float8",))
            def one(): ...
            """,
            "dtypes of case 'one': expected one of 'float64', 'float32', "
            "'bfloat16', 'float16'; received 'float8'",
        ),
        (
            """
            from kseq.agreement import case
            @case(kinds=("backward",))
            def one(): ...
            """,
            "kinds of case 'one': expected one of 'forward', "
            "'forward_compiled', 'gradients', 'gradients_compiled', 'fit'; "
            "received 'backward'",
        ),
        (
            """
            from kseq.agreement import case
            @case(name="two")
            def one(): ...
            """,
            "name: expected nothing, since the function's name is the case's; "
            "received 'two'",
        ),
        (
            """
            from kseq.agreement import case
            one = case(abs, name="two")
            """,
            "name: expected nothing, since the function's name is the case's; "
            "received 'two'",
        ),
        (
            """
            import numpy as np
            from kseq.agreement import Case
            one = Case("a/b", lambda: (abs, np.ones(2)))
            """,
            "name: expected a printable text without \"/\"; received 'a/b'",
        ),
        (
            """
            import numpy as np
            from kseq.agreement import Case
            one = Case("a\\0b", lambda: (abs, np.ones(2)))
            """,
            "name: expected a printable text without \"/\"; received 'a\\x00b'",
        ),
    ],
)
def test_a_wrong_file_is_refused(module, text, message):
    path = module(textwrap.dedent(text))
    message = re.escape(message.format(path=path))
    with pytest.raises(ValueError, match=f"^{message}$"):
        load_cases(path)


def test_cases_are_found_in_their_order(module):
    text = """
        import numpy as np
        from kseq.agreement import Case, case

        @case
        def second():
            return abs, np.ones(2)

        @case(kinds=("fit",), dtypes=("float16",), reference=max)
        def first():
            return abs, np.ones(3)

        again = second
        third = Case("third", first.build)
        def plain():
            return abs, np.ones(4)

        fourth = case(plain, kinds=("forward",))
        """
    found = load_cases(module(textwrap.dedent(text)))
    assert [c.name for c in found] == ["second", "first", "third", "plain"]
    second, first, third, fourth = found
    assert fourth.kinds == ("forward",)
    assert second.build()[1].shape == (2,)
    assert second.reference is None
    assert second.dtypes == third.dtypes == ("float64", "float32")
    assert second.kinds == third.kinds == KINDS
    assert first.build()[1].shape == third.build()[1].shape == (3,)
    assert (first.kinds, first.dtypes, first.reference) == (
        *(("fit",), ("float16",), max),
    )


def test_a_case_without_a_name_is_refused():
    with pytest.raises(ValueError, match=r"^name: expected a printable text"):
        Case("", lambda: None)


def doubled(reference=None):
    x = np.array([1.0, -2.0])
    return Case("doubled", lambda: (lambda t: t + t, x), reference)


def test_a_case_is_recorded_with_its_reference_once():
    asked = []

    def reference(inputs, weights):
        asked.append(inputs)
        return 2 * inputs[0]

    record = new_record("a", "cpu", "abc")
    case = doubled(reference)
    for _ in range(2):
        record.values.clear()
        found = record_case(record, case, "float32", "forward")
        assert to_numpy(found["output 0"]).tolist() == [2.0, -4.0]
    key = "doubled/float32/forward/output 0"
    assert record.values[key].tolist() == [2.0, -4.0]
    assert record.references[key].tolist() == [2.0, -4.0]
    assert record.references.keys() == record.values.keys()
    assert record.dtypes == {key: "float32"}
    assert len(asked) == 1
    assert not record.left_out


DENSE = keras.layers.Dense(2, name="dense")
X = np.ones((2, 3))


@pytest.mark.parametrize(
    ("made", "received"),
    [
        (None, "None"),
        (DENSE, f"{DENSE!r}"),
        ((DENSE,), f"[{DENSE!r}]"),
        ((3, [X]), "[3, [shape (2, 3)]]"),
        ((3, X, {"mask": X}), "[3, shape (2, 3), {'mask': shape (2, 3)}]"),
        ((DENSE, X, 7), f"[{DENSE!r}, shape (2, 3), 7]"),
        ((DENSE, X, {}, X), f"[{DENSE!r}, shape (2, 3), {{}}, shape (2, 3)]"),
    ],
)
def test_what_no_case_makes_is_refused(made, received):
    message = (
        "build of case 'a': expected (layer, inputs) or (layer, inputs, "
        f"keyword arguments); received {received}"
    )
    record = new_record("a", "cpu", "abc")
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        record_case(record, Case("a", lambda: made), "float32", "forward")


@pytest.mark.parametrize("kind", ["forward", "gradients"])
@pytest.mark.parametrize(
    ("given", "received"),
    [
        (None, "[None]"),
        ("words", "['words']"),
        (np.array([None, 1.0]), "[object of shape (2,)]"),
        (np.ones(2) + 1j, "[complex128 of shape (2,)]"),
        (np.ones((1, 2)), "[float64 of shape (1, 2)]"),
        (1.0, "[1.0]"),
        ([], "[]"),
        ([np.ones(2)] * 2, "[float64 of shape (2,), float64 of shape (2,)]"),
    ],
)
def test_what_no_reference_gives_is_refused(kind, given, received):
    message = (
        "reference of case 'doubled': expected real numbers of the layer's "
        f"output shapes [(2,)]; received {received}"
    )
    case = doubled(lambda inputs, weights: given)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        reference_values(case, "float32", kind)


def test_a_reference_without_its_return_leaves_a_record_that_can_be_read(
    module, tmp_path
):
    text = AGREES.replace(
        "@case",
        "@case(reference=lambda x, w: None, kinds=('forward',), "
        "dtypes=('float32',))",
    )
    record_module(module(text), tmp_path / "a.npz")
    record = load_record(tmp_path / "a.npz")
    assert record.errors == {
        "average/float32/forward": (
            "ValueError: reference of case 'average': expected real numbers of "
            "the layer's output shapes [(2, 3)]; received [None]"
        )
    }


def test_what_a_backend_lacks_is_left_out_with_its_reason():
    record = new_record("a", "cpu", "abc")
    record.run.backend = "numpy"
    assert record_case(record, doubled(), "float32", "fit") is None
    assert record.left_out == {
        "doubled/float32/fit": left_out("numpy", "fit", "float32")
    }
    assert not record.values
    # It is the record's backend that decides.
    record.run.backend = "torch"
    assert record_case(record, doubled(), "float32", "forward") is not None


NO_GRADIENTS = "the NumPy backend has no gradients, no fit and no compiler"
NO_FLOAT64 = "Keras's NumPy backend computes float64 and bfloat16 in float32"
HALVES = "half precision is compared forward"


@pytest.mark.parametrize(
    ("backend", "kind", "dtype", "why"),
    [
        ("torch", "forward", "float64", None),
        ("torch", "gradients", "float32", None),
        ("torch", "forward", "bfloat16", None),
        ("torch", "forward", "float16", None),
        ("torch", "fit", "bfloat16", HALVES),
        ("jax", "forward_compiled", "float16", HALVES),
        ("numpy", "forward", "float32", None),
        ("numpy", "forward", "float16", None),
        ("numpy", "forward", "float64", NO_FLOAT64),
        ("numpy", "forward", "bfloat16", NO_FLOAT64),
        ("numpy", "fit", "float32", NO_GRADIENTS),
        ("numpy", "gradients", "float64", NO_GRADIENTS),
        ("openvino", "forward", "float32", None),
        ("openvino", "forward", "bfloat16", None),
    ],
)
def test_what_is_left_out(backend, kind, dtype, why):
    assert left_out(backend, kind, dtype) == why


def test_a_record_says_on_what_and_of_which_sources_it_was_made(
    module, tmp_path
):
    path = module(RAISES)
    record_module(path, tmp_path / "mine.npz")
    run = load_record(tmp_path / "mine.npz").run
    assert (run.name, run.device) == ("mine", probes.device())
    assert run.fingerprint == fingerprint(sources(tmp_path, [path]))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="module: expected a Python file"):
        load_cases(tmp_path / "none.py")


def test_a_file_may_have_any_name_and_import_its_neighbour(tmp_path):
    (tmp_path / "its_neighbour.py").write_text("FACTOR = 3.0")
    path = tmp_path / "keras.py"
    path.write_text(
        "import keras\nimport numpy as np\n"
        "from its_neighbour import FACTOR\nfrom kseq.agreement import case\n"
        "@case(kinds=('forward',), dtypes=('float32',))\n"
        "def scaled():\n"
        "    return keras.layers.Rescaling(FACTOR), np.ones((2, 1))\n"
        "also = scaled\n"
    )
    record_module(path, tmp_path / "a.npz")
    first = load_record(tmp_path / "a.npz")
    assert first.values["scaled/float32/forward/output 0"].tolist() == [
        [3.0],
        [3.0],
    ]
    assert sys.modules["keras"] is keras
    # What is beside it decides as well, where it lies does not.
    sources = loaded_from(tmp_path)
    assert {p.name for p in sources} == {"keras.py", "its_neighbour.py"}


def test_what_is_installed_within_the_folder_does_not_decide(
    tmp_path, monkeypatch
):
    root = Path(kseq.__file__).parents[1]  # holds kseq, or its environment
    loaded = loaded_from(root)
    assert not [p for p in loaded if p.is_relative_to(root / "kseq")]
    assert not [p for p in loaded if "site-packages" in p.parts]
    library = tmp_path / "env" / "site-packages" / "a_library.py"
    library.parent.mkdir(parents=True)
    library.touch()
    monkeypatch.syspath_prepend(library.parent)
    monkeypatch.setitem(sys.modules, library.stem, None)  # and it goes again
    del sys.modules[library.stem]
    importlib.import_module(library.stem)
    assert not loaded_from(tmp_path)


def test_the_sources_are_all_of_kseq_s_and_those_that_are_named(tmp_path):
    folder = Path(kseq.__file__).parent
    named = tmp_path / "cases" / "mine.py"
    found = sources(tmp_path, [named])
    assert found.pop("cases/mine.py") == named
    assert found["kseq/agreement/run.py"] == folder / "agreement" / "run.py"
    assert {*found.values()} == {*folder.rglob("*.py")}


def test_where_the_sources_lie_changes_no_fingerprint(tmp_path):
    made = []
    for folder in ("a", "b/c"):
        path = tmp_path / folder / "cases.py"
        path.parent.mkdir(parents=True)
        path.write_text("x = 1")
        made.append(fingerprint(sources(path.parent, [path])))
    path.write_text("x = 2")
    assert made[0] == made[1] != fingerprint(sources(path.parent, [path]))


@needs_two_backends
def test_other_records_of_the_folder_are_left_alone(module):
    path = module(AGREES)
    other = path.parent / "report" / "gpu.npz"
    other.parent.mkdir()
    other.write_bytes(b"precious")
    assert run(path) == 0
    assert other.read_bytes() == b"precious"


def test_layers_are_built_by_a_call(module, tmp_path):
    text = """
        import keras
        import numpy as np
        from kseq.agreement import case
        x = np.linspace(0, 1, 12).reshape(2, 3, 2)
        @case(kinds=("forward",), dtypes=("float32",))
        def attends():
            layer = keras.layers.MultiHeadAttention(1, 2)
            return layer, x, {"value": x}
        @case(kinds=("forward",), dtypes=("float32",))
        def standardizes():
            return keras.layers.Normalization(), x
        """
    record_module(module(textwrap.dedent(text)), tmp_path / "a.npz")
    record = load_record(tmp_path / "a.npz")
    assert not record.errors
    assert len(record.values) == 2
