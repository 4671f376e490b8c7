"""The command line, without the backends that it would start."""

import subprocess
import sys
from pathlib import Path

import pytest

from kseq.agreement import run as running
from kseq.agreement.__main__ import main, parser
from kseq.agreement.record import Record, Run, load_record

CASES = """
import numpy as np
from kseq.agreement import case

@case(kinds=("forward",), dtypes=("float32",))
def negative():
    return (lambda x: -x), np.ones(2)
"""


@pytest.fixture
def module(tmp_path):
    path = tmp_path / "some_cases.py"
    path.write_text(CASES)
    return path


@pytest.fixture
def started(monkeypatch):
    """What would be started, and with which exit codes it ends."""
    calls, codes = [], []

    def start(command, env, check):
        calls.append((command, env, check))
        return subprocess.CompletedProcess(command, codes.pop(0))

    monkeypatch.setattr(subprocess, "run", start)
    return calls, codes


def test_each_backend_gets_a_process(module, tmp_path, started, capsys):
    calls, codes = started
    codes += [0, 3, 0]
    old = tmp_path / "torch.npz"
    old.write_text("an older run's")
    backends = ("torch", "jax", "numpy")
    assert running.run_backends(module, backends, tmp_path) == ["jax"]
    assert not old.exists()
    for (command, env, check), backend in zip(calls, backends, strict=True):
        assert command == [
            *(sys.executable, "-m", "kseq.agreement", "record", str(module)),
            *("--out", str(tmp_path / f"{backend}.npz")),
        ]
        assert env["KERAS_BACKEND"] == backend
        assert "PATH" in env
        assert check is False
    assert capsys.readouterr().out.splitlines() == [
        f"{module} on {backend} ..." for backend in backends
    ]


def test_run_stops_where_a_backend_fails(
    module, tmp_path, monkeypatch, started, capsys
):
    monkeypatch.setattr(running, "installed", lambda name: True)
    _, codes = started
    codes += [1, 0, 1]
    (tmp_path / "index.html").write_text("an older comparison's")
    assert main(["run", str(module), "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "failed: tensorflow, jax\n"
    assert not (tmp_path / "index.html").exists()


def record(name):
    made = Record(Run(name, name, "cpu", "abc", {}, "here", "now", True))
    made.values = {"f/float32/forward/output 0": 1.0}
    made.dtypes = dict.fromkeys(made.values, "float32")
    return made


def test_run_compares_what_its_backends_left(
    module, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(running, "installed", lambda name: True)
    record("older").save(tmp_path / "report" / "older.npz")

    def start(command, **_):
        assert command[-3] == str(module)
        out = Path(command[-1])
        record(out.stem).save(out)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", start)
    out = tmp_path / "report"
    arguments = ["run", str(module), "--out", str(out)]
    assert main([*arguments, "--backends", "torch,,jax"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[-1] == f"Report: {out / 'index.html'}"
    assert "The runs agree." in told
    assert {p.name for p in out.iterdir()} == {
        *("older.npz", "torch.npz", "jax.npz"),
        *("agreement.json", "agreement.md", "index.html"),
    }
    assert "older" not in (out / "agreement.md").read_text()


def test_compare_writes_where_it_is_told(tmp_path):
    for name in ("a", "b", "c"):
        record(name).save(tmp_path / "in" / f"{name}.npz")
    arguments = ["compare", str(tmp_path / "in"), "--runs", "a,b"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    assert len([*(tmp_path / "out").iterdir()]) == 3
    assert len([*(tmp_path / "in").iterdir()]) == 3
    assert main(arguments) == 0
    assert len([*(tmp_path / "in").iterdir()]) == 6
    assert main(["compare", str(tmp_path / "in"), "--runs", "a,d"]) == 1


@pytest.mark.parametrize("terminal", [False, True])
def test_a_log_is_wide_and_a_path_is_not_broken(
    tmp_path, capsys, monkeypatch, terminal
):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    for name in ("a" * 90, "b" * 90):
        record(name).save(tmp_path / f"{name}.npz")
    out = tmp_path / ("c" * 130)
    assert main(["compare", str(tmp_path), "--out", str(out)]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert last == f"Report: {out / 'index.html'}"
    assert max(map(len, lines)) == (80 if terminal else 120)


def test_record_writes_where_it_is_told(module, tmp_path):
    out = tmp_path / "folder" / "mine.npz"
    assert main(["record", str(module), "--out", str(out)]) == 0
    assert load_record(out).run.name == "mine"


def test_defaults_of_run():
    options = parser().parse_args(["run", "cases.py"])
    assert options.module == Path("cases.py")
    assert options.backends == ("tensorflow", "torch", "jax")
    assert options.out == Path("agreement-report")


def test_defaults_of_compare():
    options = parser().parse_args(["compare", "records"])
    assert options.folder == Path("records")
    assert (options.runs, options.out) == (None, None)


@pytest.mark.parametrize("arguments", [[], ["record", "cases.py"], ["other"]])
def test_a_wrong_command_says_how_it_is_used(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("usage: python -m kseq.agreement")


HELP = {
    (): (
        "Do a layer's numbers agree between Keras's backends?",
        "compute a file's cases on each backend and compare",
        "compute a file's cases on KERAS_BACKEND",
        "compare a folder's records",
        "command ...",
        "Exit code: 0 they agree, 1 they do not, 2 anything else.",
    ),
    ("run",): (
        "module a Python file with @case",
        "--backends BACKENDS default: tensorflow,torch,jax",
        "folder for records and reports (default: agreement-report)",
    ),
    ("record",): ("module a Python file with @case", "--out OUT a .npz file"),
    ("compare",): (
        "folder holds one .npz a run",
        "the runs to compare, such as tensorflow,torch,jax, which must be "
        "there (default: all that are)",
        "folder for reports (default: the records')",
    ),
}


@pytest.mark.parametrize("command", HELP)
def test_help(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")  # else it breaks words
    with pytest.raises(SystemExit):
        main([*command, "--help"])
    told = " ".join(capsys.readouterr().out.split())
    for text in HELP[command]:
        assert f" {text} " in f"{told} "
