"""`python -m kseq.convert` converts a DeepCTR file to a .keras file."""

import sys

import keras
import numpy as np
import pytest

from kseq.convert.__main__ import main
from tests.convert.recorded import write_h5
from tests.reliability.disk import contents, full_after, needs_limits
from tests.support import to_numpy

pytestmark = pytest.mark.once
SCRIPT = """
import keras


def build():
    x = keras.Input((2,))
    y = keras.layers.Dense(2, activation="tanh", name="hidden")(x)
    return keras.Model(x, keras.layers.Dense(1, name="out")(y))


def broken():
    raise ValueError("a bug in the script")


def no_model():
    return None


number = 3
"""
HIDDEN = {"kernel": np.eye(2), "bias": np.zeros(2)}
OUT = {"kernel": np.array([[2.0], [3.0]]), "bias": np.ones(1)}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with a script, a DeepCTR file and an old result."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "build.py").write_text(SCRIPT)
    write_h5(tmp_path / "deepctr.h5", {"dense_7": HIDDEN, "out": OUT})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "model.keras").write_text("old")
    yield tmp_path
    sys.modules.pop("kseq_convert_build", None)


def convert(
    file="deepctr.h5",
    script="build.py:build",
    out="out/model.keras",
    more=("--layer", "hidden=dense_7"),
):
    return main([file, "--model-script", script, "--out", str(out), *more])


def test_the_result_predicts_what_deepctr_did(folder, capsys):
    path = folder / "new" / "model.keras"
    assert convert(out=path) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["hidden", "<-", "dense_7"],
        ["kernel", "<-", "kernel:0", "(2,", "2)"],
        ["bias", "<-", "bias:0", "(2,)"],
        ["out", "<-", "out"],
        ["kernel", "<-", "kernel:0", "(2,", "1)"],
        ["bias", "<-", "bias:0", "(1,)"],
        ["4", "weights", "loaded:", str(path)],
    ]
    x = np.array([[0.1, 0.2], [0.3, -0.4]], "float32")
    predictions = to_numpy(keras.saving.load_model(path)(x))
    expected = np.tanh(x) @ OUT["kernel"] + 1
    np.testing.assert_allclose(predictions, expected, atol=1e-5)
    assert [*path.parent.iterdir()] == [path]


def test_layers_that_keep_their_weights(folder, capsys):
    write_h5(folder / "part.h5", {"other": OUT})
    options = "--layer", "hidden=", "--layer", "out=other"
    assert convert("part.h5", more=options) == 0
    assert "2 weights loaded, hidden not loaded: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"file": "none.h5"}, "filepath: expected an HDF5 file"),
        ({"script": "none.py:f"}, "--model-script: expected a Python"),
        ({"script": "build.py:"}, "--model-script: expected FILE.py:FUNCTION"),
        ({"script": "build.py:number"}, "--model-script: expected the name of"),
        ({"script": "build.py:no_model"}, "--model-script: expected a Keras"),
        ({"script": "build.py:broken"}, "a bug in the script"),
        ({"out": "model.h5"}, "--out: expected a path that ends with .keras"),
        # Before the script runs.
        (
            {"out": "deepctr.h5/model.keras", "script": "build.py:broken"},
            "--out: expected a file to write",
        ),
        ({"more": ("--layer", "=dnn")}, "--layer: expected NAME=OTHER"),
        ({"more": 2 * ("--layer", "a=b")}, "--layer: expected each name once"),
        ({"more": ("--layer", "a=dnn")}, "layer_names: expected names"),
    ],
    ids=str,
)
def test_errors_keep_the_old_file(arguments, error, folder, capsys):
    before = contents(folder / "out")
    assert convert(**arguments) == 2
    text = capsys.readouterr().err
    assert text.startswith("error: ")
    assert error in text
    assert contents(folder / "out") == before


@needs_limits
def test_a_full_disk_keeps_the_old_file(folder, monkeypatch, capsys):
    before = contents(folder / "out")
    save = full_after(100)(keras.Model.save)
    monkeypatch.setattr(keras.Model, "save", save)
    assert convert() == 2
    text = capsys.readouterr().err
    assert text.startswith("error: --out: expected a file to write; received")
    assert "File too large" in text
    assert contents(folder / "out") == before
    assert len([*(folder / "out").iterdir()]) == 1
