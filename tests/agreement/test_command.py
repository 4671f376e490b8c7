"""The command line, mostly without starting the backends."""

import subprocess
import sys
from pathlib import Path

import pytest

from kseq.agreement import run as running
from kseq.agreement.__main__ import main, parser
from kseq.agreement.record import load_record
from tests.agreement.records import make_record

pytestmark = pytest.mark.once

CASES = """
from pathlib import Path
import keras
import numpy as np
from kseq.agreement import case

Path(__file__).with_name("computed").touch()
factor = 1.0 if keras.backend.backend() == "numpy" else 1.001

@case(kinds=("forward",), dtypes=("float32",))
def negative():
    return (lambda x: -x), np.ones(2)

@case(kinds=("forward",), dtypes=("float32",))
def scaled():
    return keras.layers.Rescaling(factor), np.ones(2)
"""
REPORTS = {"agreement.json", "agreement.md", "index.html"}


@pytest.fixture
def module(tmp_path):
    path = tmp_path / "some_cases.py"
    path.write_text(CASES)
    return path


@pytest.fixture
def pair(tmp_path):
    """A folder with two records that agree."""
    for name in ("a", "b"):
        make_record(name).save(tmp_path / "records" / f"{name}.npz")
    return tmp_path / "records"


def assert_error(capsys, *words):
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert message.count("\n") == 1
    for word in words:
        assert word in message


@pytest.mark.skipif(not running.installed("jax"), reason="needs two backends")
def test_run_computes_on_each_backend_and_compares(module, tmp_path, capsys):
    out = tmp_path / "report"
    arguments = ["run", str(module), "--backends", "jax,numpy"]
    assert main([*arguments, "--out", str(out)]) == 1
    printed = capsys.readouterr().out
    assert "tolerance scaled/float32/forward" in printed
    assert "The runs do not agree: 1 failure." in printed
    assert {p.name for p in out.iterdir()} == REPORTS | {
        *("jax.npz", "numpy.npz")
    }


def test_run_compares_its_own_backends_only(
    module, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(running, "installed", lambda name: True)
    out = tmp_path / "report"
    make_record("older").save(out / "older.npz")
    calls = []

    def start(command, env, check):
        calls.append((command[:-1], env["KERAS_BACKEND"], "PATH" in env, check))
        path = Path(command[-1])
        make_record(path.stem).save(path)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", start)
    arguments = ["run", str(module), "--out", str(out)]
    assert main([*arguments, "--backends", "torch,,jax"]) == 0
    command = [sys.executable, "-m", "kseq.agreement", "record", str(module)]
    assert calls == [
        ([*command, "--out"], backend, True, False)
        for backend in ("torch", "jax")
    ]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{module} on torch ..."
    assert "The runs agree." in lines
    assert lines[-1] == f"Report: {out / 'index.html'}"
    assert {p.stem for p in out.glob("*.npz")} == {"older", "torch", "jax"}
    assert "older" not in (out / "agreement.md").read_text()


def test_a_failed_run_leaves_no_old_results(
    module, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(running, "installed", lambda name: True)
    codes = iter((1, 0, 1))
    monkeypatch.setattr(
        subprocess,
        "run",
        lambda command, **_: subprocess.CompletedProcess(command, next(codes)),
    )
    out = tmp_path / "report"
    out.mkdir()
    for name in ("index.html", "tensorflow.npz"):
        (out / name).touch()
    assert main(["run", str(module), "--out", str(out)]) == 2
    assert capsys.readouterr().err == "failed: tensorflow, jax\n"
    assert not [*out.iterdir()]


@pytest.mark.parametrize(
    ("backends", "message"),
    [
        ("jax,mxnet", "one of 'tensorflow'"),
        ("jax", "two or more different backends; received ['jax']"),
        ("jax,jax", "two or more different backends"),
        ("jax,torch", "backends that are installed; received 'torch'"),
    ],
)
def test_invalid_backends_are_rejected(
    module, capsys, monkeypatch, backends, message
):
    monkeypatch.setattr(running, "installed", "jax".__eq__)
    assert main(["run", str(module), "--backends", backends]) == 2
    assert_error(capsys, f"--backends: expected {message}")


def test_compare_writes_reports_to_out(pair, tmp_path, capsys):
    make_record("c").save(pair / "c.npz")
    arguments = ["compare", str(pair), "--runs", "a,b"]
    out = tmp_path / "out"
    assert main([*arguments, "--out", str(out)]) == 0
    assert {p.name for p in out.iterdir()} == REPORTS
    assert main(arguments) == 0
    assert (pair / "index.html").exists()
    assert main(["compare", str(pair), "--runs", "a,d"]) == 1
    capsys.readouterr()
    (pair / "b.npz").write_bytes(b"")
    assert main(arguments) == 2
    assert_error(capsys, f"{pair / 'b.npz'}: expected a record")
    assert main(["compare", str(tmp_path / "missing")]) == 2


def test_record_names_the_run_after_the_file(module, tmp_path):
    out = tmp_path / "folder" / "mine.npz"
    assert main(["record", str(module), "--out", str(out)]) == 0
    assert load_record(out).run.name == "mine"


def test_defaults():
    options = parser().parse_args(["run", "cases.py"])
    assert options.backends == ("tensorflow", "torch", "jax")
    assert options.out == Path("agreement-report")
    options = parser().parse_args(["compare", "records"])
    assert (options.runs, options.out) == (None, None)


def test_a_file_with_a_syntax_error_starts_no_backend(
    module, capsys, monkeypatch
):
    monkeypatch.setattr(running, "installed", lambda name: True)
    module.write_text("def f(:")
    assert main(["run", str(module)]) == 2
    assert_error(capsys, "module: expected a Python file")


@pytest.mark.parametrize("command", ["record", "run"])
@pytest.mark.parametrize("below_a_file", [True, False])
def test_an_output_that_cannot_be_written_is_rejected_first(
    module, command, below_a_file, monkeypatch, capsys
):
    monkeypatch.setattr(running, "installed", lambda name: True)
    out = module / "a.npz" if below_a_file else module.with_name("folder")
    if not below_a_file:
        blocked = out if command == "record" else out / "agreement.json"
        (blocked / "precious").mkdir(parents=True)
    assert main([command, str(module), "--out", str(out)]) == 2
    assert_error(capsys, "out: expected a file to write", str(out))
    assert not module.with_name("computed").exists()
