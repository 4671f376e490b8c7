"""What `python -m kseq` says, and what an import without a backend does."""

import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest

import kseq
from kseq.__main__ import facts, main
from kseq.agreement import probes
from kseq.installed import BACKENDS, versions


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )


def test_versions_are_those_that_run():
    found = versions()
    assert found.get("kseq", kseq.__version__) == kseq.__version__
    assert found["keras"] == keras.__version__
    assert found["numpy"] == np.__version__


def test_the_report_of_a_bug(capsys, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", "/a/folder")
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    shown = dict(re.split(" {2,}", line, maxsplit=1) for line in lines)
    assert shown["backend"] == keras.backend.backend()
    assert shown["KERAS_HOME"] == "/a/folder"
    assert shown["kseq"] == kseq.__version__


def test_every_device_has_a_name():
    found = dict(facts())["devices"]
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


def test_another_module_that_is_missing_is_another_error():
    done = run("import sys; sys.modules['keras'] = None; import kseq")
    assert "Keras wants" not in done.stderr
    assert "ModuleNotFoundError" in done.stderr
