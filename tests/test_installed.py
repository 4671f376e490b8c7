"""The report of `python -m kseq`, and `import kseq` without a backend."""

import os
import subprocess
import sys

import keras
import pytest

import kseq
from kseq.__main__ import main
from kseq.agreement import probes

BACKEND = keras.backend.backend()


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


# JAX is not checked: Keras itself imports it where it is installed.
@pytest.mark.parametrize("other", sorted({"tensorflow", "torch"} - {BACKEND}))
def test_another_backend_is_not_imported(other, tmp_path):
    # An environment has one backend only: an empty package stands in for the
    # other, so that an import of it succeeds and is noticed.
    (tmp_path / f"{other}.py").touch()
    code = f"""if True:
        import sys
        import kseq.agreement, kseq.convert.deepctr, kseq.layers.sequence
        sys.exit({other!r} in sys.modules)
    """
    path = os.pathsep.join([str(tmp_path), *sys.path])
    environment = {"KERAS_BACKEND": BACKEND, "PYTHONPATH": path}
    command = [sys.executable, "-c", code]
    subprocess.run(command, env=os.environ | environment, check=True)


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
