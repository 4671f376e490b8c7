"""The command line, mostly without starting the backends."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from kseq.agreement import run as running
from kseq.agreement.__main__ import main
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
def scaled():
    return keras.layers.Rescaling(factor), np.ones(2)
"""
# The reports and their first characters.
REPORTS = {"agreement.json": "{", "agreement.md": "|", "index.html": "<"}


@pytest.fixture
def module(tmp_path):
    path = tmp_path / "some_cases.py"
    path.write_text(CASES)
    return path


@pytest.fixture
def processes(monkeypatch):
    """The commands of stand-ins for processes, of which that of JAX fails."""
    commands = []

    def start(command, env, check):
        commands.append(command)
        path, backend = Path(command[-1]), env["KERAS_BACKEND"]
        assert path.stem == backend
        assert "PATH" in env
        assert not check
        if backend != "jax":
            make_record(backend).save(path)
        return subprocess.CompletedProcess(command, backend == "jax")

    monkeypatch.setattr(running, "installed", lambda name: True)
    monkeypatch.setattr(subprocess, "run", start)
    return commands


def assert_error(capsys, words):
    message = capsys.readouterr().err
    assert re.match(rf"error: .*{re.escape(words)}.*\n$", message)


@pytest.mark.skipif(not running.installed("jax"), reason="needs two backends")
def test_run_computes_on_each_backend_and_compares(module, tmp_path, capsys):
    out = tmp_path / "report"
    arguments = ["run", str(module), "--backends", "jax,numpy"]
    assert main([*arguments, "--out", str(out)]) == 1
    printed = capsys.readouterr().out
    assert "tolerance scaled/float32/forward" in printed
    assert "The runs do not agree: 1 failure." in printed
    records = {"jax.npz", "numpy.npz"}
    assert {p.name for p in out.iterdir()} == REPORTS.keys() | records


def test_run_compares_its_own_backends_only(module, processes, capsys):
    out = module.parent / "report"
    make_record("older").save(out / "older.npz")
    arguments = ["run", str(module), "--out", str(out)]
    assert main([*arguments, "--backends", "torch,,numpy"]) == 0
    command = [sys.executable, "-m", "kseq.agreement", "record", str(module)]
    assert [c[:-2] for c in processes] == [command, command]
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == ["The runs agree.", f"Report: {out / 'index.html'}"]
    assert "older" not in (out / "agreement.md").read_text()


@pytest.mark.usefixtures("processes")
def test_a_failed_run_leaves_no_old_results(module, monkeypatch, capsys):
    monkeypatch.chdir(module.parent)
    out = Path("agreement-report")  # the default
    out.mkdir()
    for name in ("index.html", "jax.npz"):
        (out / name).touch()
    assert main(["run", str(module)]) == 2
    assert capsys.readouterr().err == "failed: jax\n"
    assert {p.name for p in out.iterdir()} == {"tensorflow.npz", "torch.npz"}


INVALID_BACKENDS = {
    "jax,mxnet": "one of 'tensorflow'",
    "jax": "two or more different backends",
    "jax,jax": "two or more different backends",
    "jax,torch": "backends that are installed; received 'torch'",
}


@pytest.mark.parametrize("backends", INVALID_BACKENDS)
def test_invalid_backends_are_rejected(module, capsys, monkeypatch, backends):
    monkeypatch.setattr(running, "installed", "jax".__eq__)
    assert main(["run", str(module), "--backends", backends]) == 2
    message = INVALID_BACKENDS[backends]
    assert_error(capsys, f"--backends: expected {message}")


def test_compare_writes_reports_to_out(tmp_path, capsys):
    folder, out = tmp_path / "records", tmp_path / "out"
    for name in ("a", "b"):
        make_record(name).save(folder / f"{name}.npz")
    assert main(["compare", str(folder)]) == 0
    assert (folder / "index.html").exists()
    arguments = ["compare", str(folder), "--out", str(out)]
    assert main([*arguments, "--runs", "a,c"]) == 1
    assert {p.name: p.read_text()[0] for p in out.iterdir()} == REPORTS
    (folder / "b.npz").write_bytes(b"")
    assert main([*arguments, "--runs", "a,b"]) == 2
    assert_error(capsys, f"{folder / 'b.npz'}: expected a record")


def test_a_syntax_error_starts_no_backend(module, capsys, processes):
    module.write_text("def f(:")
    assert main(["run", str(module)]) == 2
    assert_error(capsys, "module: expected a Python file")
    assert not processes


@pytest.mark.parametrize(
    ("command", "folder"), [("record", "out"), ("run", "out/agreement.json")]
)
def test_an_output_that_cannot_be_written_is_rejected_first(
    module, tmp_path, command, folder, processes, capsys
):
    (tmp_path / folder).mkdir(parents=True)
    out = tmp_path / "out"
    assert main([command, str(module), "--out", str(out)]) == 2
    assert_error(capsys, "out: expected a file to write")
    assert not processes
    assert not module.with_name("computed").exists()
