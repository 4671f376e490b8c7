"""The report of `python -m kseq`, and `import kseq` without a backend."""

import os
import subprocess
import sys

import keras
import pytest

import kseq
from kseq.__main__ import main
from kseq.agreement import probes


def test_the_report(capsys, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", "/a/folder")
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    report = dict(line.split(maxsplit=1) for line in lines)
    assert report["kseq"] == kseq.__version__
    assert report["keras"] == keras.__version__
    assert report["KERAS_HOME"] == "/a/folder"
    assert report["backend"] == keras.backend.backend()
    assert report["devices"] == ", ".join(probes.devices()) != ""


@pytest.mark.once
def test_import_without_the_backend_raises_module_not_found():
    code = """if True:
        import sys
        sys.modules["torch"] = None
        sys.argv = ["-m"]  # as before `python -m kseq.convert`
        try:
            import kseq
        except ModuleNotFoundError as error:
            print(error.name, error)
    """
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"KERAS_BACKEND": "torch"},
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")
    start, found = done.stdout.removesuffix(")\n").split(" (found: ")
    assert start == (
        "torch the Keras backend 'torch' is not installed; set KERAS_BACKEND "
        "to an installed backend before importing Keras"
    )
    assert "torch" not in found
