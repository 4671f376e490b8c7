"""The pytest plugin, in a project with layers that are wrong on a backend."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import pytest

import pytest_kseq

# NumPy and JAX are the two backends of an environment, that of NumPy.
pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "numpy", reason="needs two backends"
)

ROOT = Path(pytest_kseq.__file__).parent
TESTS = """
import os, time
import keras, numpy as np, pytest
from keras import ops

BACKEND = keras.backend.backend()
X = np.linspace(-1, 1, 12).reshape(2, 6)
FORWARD = {"kinds": "forward", "dtypes": "float32"}


class Square(keras.layers.Layer):
    def call(self, x):
        return ops.square(x)


class Wrong(keras.layers.Layer):
    def call(self, x):
        return ops.square(x) * (1.5 if BACKEND == "jax" else 1)


@pytest.mark.parametrize("size", [1, 2])
def test_right(size, agreement):
    options = {**FORWARD, "kinds": "forward gradients"}
    agreement(Square(), X[:size], reference=lambda x: x**2, **options)

def test_wrong(agreement):
    agreement(Square(), X, **FORWARD)
    agreement(Wrong(), X, **FORWARD)

def test_crash(agreement):
    if BACKEND == "numpy":
        os._exit(3)
    agreement(Square(), X, **FORWARD)

def test_hang(agreement):
    if BACKEND == "numpy":
        time.sleep(1000)
    agreement(Square(), X, **FORWARD)

@pytest.mark.xfail(reason="planted", strict=True)
def test_xfail(agreement):
    agreement(Wrong(), X, **FORWARD)

def test_skipped_once(agreement):
    if BACKEND == "jax":
        pytest.skip("not on jax")
    agreement(Wrong(), X, **FORWARD)

def test_skipped(agreement):
    pytest.skip("on no backend")

@pytest.mark.agreement_known(backend="jax", reason="planted")
def test_known(agreement):
    agreement(Wrong(), X, **FORWARD)

@pytest.mark.agreement_known(backend="jax", reason="mended")
def test_gone(agreement):
    agreement(Square(), X, **FORWARD)

def test_listed(agreement):
    agreement(Wrong(), X, **FORWARD)

def test_raises(agreement):
    agreement(Square(), X, **FORWARD)
    if BACKEND == "jax":
        raise KeyError("planted")

if BACKEND != "jax":
    def test_missing(agreement):
        agreement(Square(), X, **FORWARD)

def test_model(agreement):
    keras.utils.clear_session()
    layers = keras.layers.Dense(3), Wrong(), keras.layers.Dense(2)
    agreement.localize(keras.Sequential([keras.Input((6,)), *layers]), X)

def test_sleep(agreement):
    open("pids", "w").write(f"{os.getppid()} {os.getpid()}")
    time.sleep(1000)

def test_other():
    pass
"""
KNOWN = """
[[tool.kseq.agreement.known]]
backend = "{}"
reason = "planted"
test = "*::{}"
"""
FAILED = ["wrong", "crash", "hang", "gone", "raises", "missing", "model"]


def start(folder, *options, backend="numpy", **kwargs):
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": str(ROOT),
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
    }
    return subprocess.Popen(
        [sys.executable, *options],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **kwargs,
    )


def run(folder, *options, **kwargs):
    process = start(folder, *options, **kwargs)
    output, _ = process.communicate(timeout=300)
    return process.returncode, output


PYTEST = "-m", "pytest", "-p", "pytest_kseq", "-q", "-p", "no:cacheprovider"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    (folder / "test_layers.py").write_text(TESTS)
    known = KNOWN.format("jax", "test_listed")
    known += KNOWN.format("numpy", "test_right*")
    (folder / "pyproject.toml").write_text(known)
    return folder


@pytest.fixture(scope="module")
def output(project):
    code, output = run(
        project,
        *PYTEST,
        "-knot sleep",
        "--agreement=numpy,jax",
        "--agreement-record=records",
        "--agreement-timeout=30",
        "--agreement-github",
        "--junitxml=junit.xml",
    )
    assert code == 1, output
    return output


def test_each_difference_fails_its_test(output):
    summary = output.rpartition("short test summary")[2]
    failed = re.findall(r"^FAILED test_layers.py::test_(\w+)", summary, re.M)
    assert failed == FAILED, output
    assert "7 failed, 6 passed, 1 skipped, 1 deselected, 1 xfailed" in output


@pytest.mark.parametrize(
    "line",
    [
        "Wrong, call 2, float32 forward, output: the runs differ at (0, 0): "
        "numpy 1, jax 1.5",
        "on numpy: the process ended: exit code 3",
        "on numpy: no result after 30 seconds",
        "is gone (mended)",
        "KeyError: 'planted'",
        "on jax: did not run; exit code",
        "the known difference of numpy in *::test_right* is gone (planted)",
        "layer 1 wrong (Wrong), output 0: the runs differ at (",
    ],
)
def test_the_output_says_what_is_wrong(output, line):
    assert line in output


def test_annotations_and_a_summary_for_github(output, project):
    annotations = re.findall(r"^::error (.*?)::(.*)$", output, re.M)
    line = 1 + TESTS[: TESTS.index("def test_wrong")].count("\n")
    assert annotations[0][0] == (
        f"file=test_layers.py,line={line},title=agreement%3A test_wrong"
    )
    assert "jax 1.5" in annotations[0][1]
    assert len(annotations) == len(FAILED)
    summary = (project / "summary.md").read_text()
    assert summary.count("| test_layers.py::") == len(FAILED)


def test_a_short_script_shows_a_failure_alone(output, project):
    (script,) = project.glob(".agreement/*wrong*.py")
    assert len(script.read_text().splitlines()) <= 15
    code, printed = run(project, str(script))
    assert code == 0, printed
    assert "output\n[[1." in printed


def compare(monkeypatch, *options):
    arguments = "kseq-agreement", "compare", *map(str, options)
    monkeypatch.setattr(sys, "argv", [*arguments])
    return pytest_kseq.main()


def test_differing_records(output, project, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert compare(monkeypatch, project / "records", "--github") == 1
    printed = capsys.readouterr().out
    assert "jax 1.5" in printed
    assert "::error file=test_layers.py" in printed


def test_a_run_without_differences(project, tmp_path, monkeypatch, capsys):
    shutil.copy(project / "test_layers.py", tmp_path)
    options = "--agreement=numpy", "--agreement-record=records"
    code, output = run(
        tmp_path, *PYTEST, *options, "-k right or skipped_once or other"
    )
    assert code == 0, output
    assert "agreement: 3 tests on numpy" in output
    assert "4 passed" in output
    records = tmp_path / "records"
    other = shutil.copytree(records / "numpy", records / "other")
    assert compare(monkeypatch, records, "--runs=numpy,other") == 0
    assert (records / "index.html").exists()
    assert compare(monkeypatch, records, "--runs=numpy,other,torch") == 1
    path = other / "run.json"
    fields = json.loads(path.read_text()) | {"fingerprint": "another"}
    path.write_text(json.dumps(fields))
    assert compare(monkeypatch, records) == 1
    assert "differ in their sources" in capsys.readouterr().out
    assert compare(monkeypatch, tmp_path / "none") == 2
    shutil.rmtree(other)
    assert compare(monkeypatch, records) == 1


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_a_stopped_run_leaves_no_process(project, name):
    pids = project / "pids"
    pids.unlink(missing_ok=True)
    parent = start(
        project,
        *PYTEST,
        "--agreement=numpy",
        "-k sleep",
        # A shell's background jobs ignore SIGINT, and their children too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        wait_until(pids.exists)
        wait_until(pids.read_text)
        _, child = map(int, pids.read_text().split())
        parent.send_signal(getattr(signal, name))
        parent.communicate(timeout=60)
        wait_until(lambda: not is_running(child))
    finally:
        parent.kill()


def wait_until(condition):
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def is_running(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # Ended, if nobody has waited for it.
    status = Path(f"/proc/{process}/stat")
    return not status.exists() or status.read_text().split()[2] != "Z"
