"""`python -m kseq.convert`: a DeepCTR file becomes a .keras file."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from kseq.convert.__main__ import main
from tests.convert import recorded
from tests.reliability.disk import contents, full_after, needs_limits

SCRIPT = """
import json
from pathlib import Path

from beside import configuration  # a file beside it
from kseq import feature_column, models
from tests.golden.load import make_columns


def make():
    columns = make_columns(feature_column, configuration["columns"])
    make_model = getattr(models, configuration["model"])
    return make_model(columns, **configuration["arguments"])


def other():
    return "no model"


def wrong():
    raise ValueError("the user's own")


def broken():
    raise RuntimeError("a fault of the script")


number = 3
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    """A script that makes a recorded model, in a folder of its own."""

    def write(name):
        case = recorded.case(name)
        described = {
            "model": case.model,
            "columns": case.columns,
            "arguments": case.arguments,
        }
        beside = tmp_path / "beside.py"
        text = json.dumps(described)
        beside.write_text(f"import json\nconfiguration = json.loads({text!r})")
        (tmp_path / "build.py").write_text(SCRIPT)
        return f"{tmp_path / 'build.py'}:make"

    monkeypatch.setattr(sys, "path", [*sys.path])
    yield write
    for name in ("beside", "kseq_convert_build"):
        sys.modules.pop(name, None)


def run(file, script, out, *more):
    return main([str(file), "--model-script", script, "--out", str(out), *more])


def test_the_file_predicts_what_deepctr_did(script, tmp_path, capsys):
    case = recorded.case("din")
    file = recorded.write(case, "model", tmp_path)
    out = tmp_path / "made" / "din.keras"
    assert run(file, script("din"), out) == 0
    loaded = keras.saving.load_model(out)
    got = recorded.predict(loaded, recorded.inputs(case))
    np.testing.assert_allclose(got, case.predictions, atol=1e-5)
    assert [p.name for p in out.parent.iterdir()] == ["din.keras"]
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == f"{len(loaded.weights)} weights placed: {out}"
    # A line for each weight, and one for each layer.
    held = sum(bool(layer.weights) for layer in loaded.layers)
    assert len(said) == len(loaded.weights) + held + 1
    assert any(line.split() == ["dense", "<-", "dense"] for line in said), said
    assert any(
        line.split() == ["kernel0", "<-", "kernel0:0", "(21,", "32)"]
        for line in said
    ), said


def test_layers_that_are_not_in_the_file(script, tmp_path, capsys):
    file = recorded.write(recorded.case("dien_augru"), "weights", tmp_path)
    out = tmp_path / "dien.keras"
    make = script("dien_augru")
    assert run(file, make, out) == 2
    assert "on the command line --layer gru2=, " in capsys.readouterr().err
    assert not out.exists()
    assert run(file, make, out, "--layer", "gru2=", "--layer", "gru1=gru1") == 0
    assert f"weights placed, gru2 as made: {out}" in capsys.readouterr().out
    assert out.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"file": "none.h5"}, "error: filepath: expected an HDF5 file"),
        (
            {"script": "none.py:make"},
            "error: --model-script: expected a Python",
        ),
        ({"script": "build.py"}, "expected FILE.py:FUNCTION; received"),
        ({"script": "build.py:"}, "expected FILE.py:FUNCTION; received"),
        (
            {"script": "build.py:none"},
            "error: --model-script: expected the name",
        ),
        (
            {"script": "build.py:number"},
            "of ['broken', 'make', 'other', 'wrong'];",
        ),
        ({"script": "build.py:other"}, "a Keras model from other(); received"),
        ({"script": "build.py:wrong"}, "error: the user's own"),
        ({"out": "din.h5"}, "error: --out: expected a path that ends with"),
        ({"more": ("--layer", "dnn")}, "error: --layer: expected NAME=OTHER"),
        ({"more": ("--layer", "=dnn")}, "error: --layer: expected NAME=OTHER"),
        ({"more": ("--layer", "a=b", "--layer", "a=c")}, "each name once"),
        ({"more": ("--layer", "a=dnn")}, "error: layer_names: expected names"),
    ],
    ids=str,
)
def test_user_errors(change, said, script, tmp_path, monkeypatch, capsys):
    script("din")
    recorded.write(recorded.case("din"), "weights", tmp_path)
    out = tmp_path / change.get("out", "din.keras")
    out.write_text("the old one")
    monkeypatch.chdir(tmp_path)
    code = run(
        change.get("file", "din_weights.h5"),
        change.get("script", "build.py:make"),
        out.name,
        *change.get("more", ()),
    )
    assert code == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert out.read_text() == "the old one"


def test_a_script_that_does_not_parse(tmp_path, capsys):
    (tmp_path / "build.py").write_text("def make(:")
    file = recorded.write(recorded.case("din"), "weights", tmp_path)
    out = tmp_path / "din.keras"
    assert run(file, f"{tmp_path / 'build.py'}:make", out) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: --model-script: expected a Python file")
    assert "Traceback" not in said


def test_a_fault_of_the_script_is_shown(script, tmp_path, capsys):
    file = recorded.write(recorded.case("din"), "weights", tmp_path)
    broken = script("din").replace(":make", ":broken")
    assert run(file, broken, tmp_path / "din.keras") == 2
    said = capsys.readouterr().err
    assert 'raise RuntimeError("a fault of the script")' in said


def test_a_failing_save_leaves_the_old_file(
    script, tmp_path, monkeypatch, capsys
):
    file = recorded.write(recorded.case("din"), "weights", tmp_path)
    out = tmp_path / "made" / "din.keras"
    out.parent.mkdir()
    out.write_text("the old one")

    def save(self, path):
        path.write_text("half")
        raise OSError("the disk is full")

    monkeypatch.setattr(keras.Model, "save", save)
    assert run(file, script("din"), out) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: --out: expected a file to write; received")
    assert said.endswith("din.keras: the disk is full\n")
    assert out.read_text() == "the old one"
    assert [p.name for p in out.parent.iterdir()] == ["din.keras"]


@needs_limits
@pytest.mark.parametrize("size", [0, 100, 10_000])
def test_a_full_disk_leaves_the_old_file(
    size, script, tmp_path, monkeypatch, capsys
):
    file = recorded.write(recorded.case("din"), "weights", tmp_path)
    out = tmp_path / "made" / "din.keras"
    assert run(file, script("din"), out) == 0
    before = contents(out.parent)
    assert size < len(before["din.keras"])
    save = keras.Model.save

    def on_a_full_disk(self, path):
        with full_after(size):
            save(self, path)

    monkeypatch.setattr(keras.Model, "save", on_a_full_disk)
    capsys.readouterr()
    assert run(file, script("din"), out) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: --out: expected a file to write; received")
    assert said.count("\n") == 1
    assert "File too large" in said
    assert contents(out.parent) == before


def test_a_place_that_cannot_be_written_is_refused_first(
    script, tmp_path, capsys
):
    file = recorded.write(recorded.case("din"), "weights", tmp_path)
    # The script would fail, but it is not asked.
    broken = script("din").replace(":make", ":broken")
    (tmp_path / "folder.keras").mkdir()
    for out in (file / "din.keras", tmp_path / "folder.keras"):
        assert run(file, broken, out) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: --out: expected a file to write; rece")
        assert str(out) in said
        assert said.count("\n") == 1


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_half_a_file_is_one_line(size, script, tmp_path, capsys):
    file = recorded.write(recorded.case("din"), "weights", tmp_path)
    file.write_bytes(file.read_bytes()[:size])
    assert run(file, script("din"), tmp_path / "din.keras") == 2
    said = capsys.readouterr().err
    assert said.startswith("error: filepath: expected a whole HDF5 file; rec")
    assert said.count("\n") == 1
    assert not (tmp_path / "din.keras").exists()


def test_as_a_command(tmp_path):
    """In a process of its own, with `python -m`."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "kseq.convert", "none.h5"),
            *("--model-script", "none.py:make", "--out", "din.keras"),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: --model-script: ")
    assert not done.stdout
