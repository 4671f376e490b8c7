"""The project of docs/own_layers.md fails where one backend has the fault."""

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import keras
import pytest

import kseq
import pytest_kseq

pytestmark = pytest.mark.once

PAGE = (Path(__file__).parents[2] / "docs" / "own_layers.md").read_text()
FILES = dict(re.findall(r"^```python\n# (\S+)\n(.*?)^```", PAGE, re.M | re.S))
WORKFLOW = re.search(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)[1]
RECORD, COMPARE = re.findall(
    r"- run: (pytest .*|kseq-agreement .*)", WORKFLOW.replace("${{ ", "${{")
)
# An editable install can be older than the plugin.
INSTALLED = any(
    e.value == "pytest_kseq" for e in entry_points(group="pytest11")
)
PLUGIN = [] if INSTALLED else ["-p", "pytest_kseq"]
BACKEND = keras.backend.backend()


def run(command, folder, fault):
    """Run pytest on the page's files, where a backend, or none, is wrong."""
    text = FILES["mylayers.py"]
    assert '"torch"' in text
    (folder / "mylayers.py").write_text(text.replace('"torch"', repr(fault)))
    text = FILES["test_mylayers.py"]
    short = 'agreement(layer(), x, kinds="forward gradients")'
    text = text.replace("agreement(layer(), x)", short)
    (folder / "test_mylayers.py").write_text(text)
    _, *arguments = command.split()
    kseq_path = str(Path(kseq.__file__).parents[1])
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *PLUGIN, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": kseq_path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return result.returncode, result.stdout


def test_the_workflow_is_red_with_the_fault_and_green_without(
    tmp_path, monkeypatch, capsys
):
    def compare(runs):
        command = COMPARE.replace("tensorflow,torch,jax", runs)
        monkeypatch.setattr(sys, "argv", command.split())
        return pytest_kseq.main(), capsys.readouterr().out

    for name, fault in (("wrong", BACKEND), ("right", "")):
        record = RECORD.replace("${{matrix.backend }}", name)
        status, printed = run(record, tmp_path, fault)
        assert (status, "3 passed" in printed) == (0, True), printed
    monkeypatch.chdir(tmp_path)
    status, printed = compare("wrong,right")
    assert status == 1, printed
    errors = re.findall(
        "^::error file=(.*),line=(.*),title=(.*)$", printed, re.M
    )
    lines = FILES["test_mylayers.py"].splitlines()
    assert errors
    for file, line, text in errors:
        # The page's first line has the file's name.
        assert (file, lines[int(line) - 1][:5]) == ("test_mylayers.py", "@pyte")
        assert "UnitNorm, float64" in text
    (right,) = tmp_path.rglob("right")
    shutil.copytree(right, right.with_name("other"))
    status, printed = compare("right,other")
    assert (status, "The runs agree" in printed) == (0, True), printed
