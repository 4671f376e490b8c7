"""Users' scripts, and the exit codes of the command lines."""

import re
import sys

import pytest

from kseq.scripts import exit_code, load_script

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("error", "printed"),
    [
        (ValueError("k: expected 1"), r"error: k: expected 1\n"),
        (KeyboardInterrupt(), r"stopped\n"),
        (RuntimeError("deep"), r"(?s)Traceback.*RuntimeError: deep\n"),
    ],
)
def test_an_error_is_printed_and_gives_exit_code_2(error, printed, capsys):
    def command():
        raise error

    assert exit_code(command) == 2
    assert re.fullmatch(printed, capsys.readouterr().err)
    assert exit_code(lambda: 3) == 3


def test_a_script_is_a_module_and_leaves_sys_path(tmp_path):
    path, keras = [*sys.path], sys.modules.get("keras")
    (tmp_path / "neighbour_of_a_script.py").write_text("x = 1")
    script = tmp_path / "keras.py"
    script.write_text("from neighbour_of_a_script import x")
    module = load_script("module", script, "test")
    assert module.x == 1
    assert sys.modules["test_keras"] is module  # as torch.compile needs it
    assert sys.modules.get("keras") is keras
    assert sys.path == path
    del sys.modules["test_keras"], sys.modules["neighbour_of_a_script"]


@pytest.mark.parametrize(
    ("name", "text"),
    [("no.py", None), ("a.py", "1 +"), ("a.py", "\0"), ("a.txt", "1")],
)
def test_a_script_that_is_not_python(tmp_path, name, text):
    script = tmp_path / name
    if text is not None:
        script.write_text(text)
    with pytest.raises(
        ValueError, match=r"^module: expected a Python file; .*(no|a)\."
    ):
        load_script("module", script, "test")
