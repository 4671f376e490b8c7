"""How a command's errors end."""

import sys

import pytest

from kseq.scripts import exit_code, load_script


def raising(error):
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("k: expected 1"), "error: k: expected 1\n"),
        (KeyboardInterrupt(), "stopped\n"),
    ],
)
def test_what_a_user_can_mend_is_one_line(error, told, capsys):
    assert exit_code(raising(error)) == 2
    assert capsys.readouterr().err == told


def test_what_nobody_expected_is_shown_whole(capsys):
    assert exit_code(raising(RuntimeError("deep"))) == 2
    told = capsys.readouterr().err
    assert told.startswith("Traceback")
    assert told.endswith("RuntimeError: deep\n")


def test_a_command_has_its_own_code():
    assert exit_code(lambda: 3) == 3


def test_a_script_that_is_loaded_again_leaves_nothing_twice(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(sys, "path", [*sys.path])
    script = tmp_path / "again.py"
    script.write_text("x = 1")
    for _ in range(2):
        assert load_script("module", script, "kseq_test").x == 1
    assert sys.path.count(str(tmp_path.resolve())) == 1
    del sys.modules["kseq_test_again"]


def test_a_script_that_fails_is_no_module(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    script = tmp_path / "fails.py"
    script.write_text("1 / 0")
    with pytest.raises(ZeroDivisionError):
        load_script("module", script, "kseq_test")
    assert "kseq_test_fails" not in sys.modules
