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
from kseq.agreement.tables import TOLERANCES

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
    """Run a command of the page, where a backend, or none, has the fault."""
    text = FILES["mylayers.py"]
    assert '"torch"' in text
    (folder / "mylayers.py").write_text(text.replace('"torch"', repr(fault)))
    text = FILES["test_mylayers.py"]
    short = 'agreement(layer(), x, kinds="forward gradients")'
    text = text.replace("agreement(layer(), x)", short)
    (folder / "test_mylayers.py").write_text(text)
    program, *arguments = command.split()
    commands = {
        "pytest": ["-m", "pytest", *PLUGIN],
        "kseq-agreement": ["-m", "pytest_kseq"],
    }
    kseq_path = str(Path(kseq.__file__).parents[1])
    result = subprocess.run(
        [sys.executable, *commands[program], *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": kseq_path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return result.returncode, result.stdout


def test_the_workflow_is_red_with_the_fault_and_green_without(tmp_path):
    for name, fault in (("wrong", BACKEND), ("right", "")):
        record = RECORD.replace("${{matrix.backend }}", name)
        status, printed = run(record, tmp_path, fault)
        assert (status, "3 passed" in printed) == (0, True), printed
    compare = COMPARE.replace("tensorflow,torch,jax", "wrong,right")
    status, printed = run(compare, tmp_path, "")
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
    compare = COMPARE.replace("tensorflow,torch,jax", "right,other")
    status, printed = run(compare, tmp_path, "")
    assert (status, "The runs agree" in printed) == (0, True), printed


def test_the_table_of_limits():
    rows = re.findall(r"^\| (b?float\d+) \| (.*?) \| [a-z]", PAGE, re.M)
    kinds = ("forward", "gradients", "fit")
    assert {
        (dtype, kind): limit
        for dtype, limits in rows
        for kind, limit in zip(kinds, limits.split(" | "), strict=True)
    } == {key: f"{x.limit:.0e}" for key, x in TOLERANCES.items()}
