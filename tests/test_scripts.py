"""How a command's errors end."""

import pytest

from kseq.scripts import exit_code


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
