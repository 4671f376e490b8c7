"""What `python -m kseq` says, and what an import without a backend does."""

import importlib.metadata
import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest

import kseq
from kseq.__main__ import main, of_keras
from kseq.agreement import probes
from kseq.export.formats import FORMATS
from kseq.installed import BACKENDS, OTHERS, PACKAGES, versions


def python(*arguments, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        timeout=300,
    )


def run(code, **environment):
    return python("-c", code, **environment)


def test_versions_are_those_that_run():
    found = versions()
    assert found.get("kseq", kseq.__version__) == kseq.__version__
    assert found["keras"] == keras.__version__
    assert found["numpy"] == np.__version__


def test_the_report_of_a_bug(capsys, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", "/a/folder")
    assert main([]) == 0
    shown = told(capsys.readouterr().out)
    assert shown["backend"] == keras.backend.backend()
    assert shown["KERAS_HOME"] == "/a/folder"
    assert shown["kseq"] == kseq.__version__
    assert shown["h5py"] == importlib.metadata.version("h5py")


def test_a_report_has_what_exports_take():
    exporters = {
        package
        for format in FORMATS
        for packages in (format.needs, *format.exporters.values())
        for package in packages
    }
    assert exporters <= {*PACKAGES, *OTHERS}


def told(out):
    return dict(
        re.split(" {2,}", line, maxsplit=1) for line in out.splitlines()
    )


def test_every_device_has_a_name():
    found = dict(of_keras())["devices"]
    assert found == ", ".join(probes.devices())
    assert all(isinstance(name, str) and name for name in probes.devices())


@pytest.mark.parametrize("chosen", BACKENDS[:3])
def test_a_backend_that_is_missing_is_named_with_those_that_are_there(chosen):
    blocked = f"import sys; sys.modules[{chosen!r}] = None; import kseq"
    done = run(blocked, KERAS_BACKEND=chosen)
    assert done.returncode == 1
    said = done.stderr.splitlines()[-1]
    assert f"Keras wants {chosen}, which is not installed" in said
    assert f"KERAS_BACKEND is {chosen!r}" in said
    here = keras.backend.backend()
    if here in BACKENDS and here != chosen:
        assert here in said.rpartition(": ")[2]
    assert chosen not in said.rpartition(": ")[2]


@pytest.mark.parametrize("command", ["kseq.convert", "kseq.agreement"])
def test_a_command_without_its_backend_ends_as_it_does_with_an_error(command):
    done = python("-m", command, "--help", KERAS_BACKEND="nonsense")
    assert done.returncode == 2
    assert done.stderr == "error: Unable to import backend : nonsense\n"


def test_the_report_of_a_bug_is_there_without_a_backend(tmp_path):
    # Python runs it first.
    block = "import sys; sys.modules['torch'] = None"
    (tmp_path / "sitecustomize.py").write_text(block)
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = python("-m", "kseq", KERAS_BACKEND="torch", PYTHONPATH=path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: Keras wants torch, which is not installed.")
    shown = told(done.stdout)
    assert shown["keras"] == keras.__version__
    assert shown["KERAS_BACKEND"] == "torch"
    assert "cores" in shown["machine"]


def test_a_command_of_another_package_fails_as_ever(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "__init__.py").write_text("import kseq")
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = python("-m", "other", KERAS_BACKEND="nonsense", PYTHONPATH=path)
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_another_module_that_is_missing_is_another_error():
    done = run("import sys; sys.modules['keras'] = None; import kseq")
    assert "Keras wants" not in done.stderr
    assert "ModuleNotFoundError" in done.stderr
