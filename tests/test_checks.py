"""The checks' errors, and results that differ from the given value.

What each check rejects is tested by public functions: tests/test_bad_input.py,
tests/layers/test_arguments.py and tests/ops/test_errors.py.
"""

import re
from pathlib import Path

import numpy as np
import pytest

from kseq import checks

pytestmark = pytest.mark.once


def raises(message):
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


def test_an_error_names_argument_expected_and_received():
    with raises("k: expected a number; received 'a'"):
        checks.raise_invalid("k", "a number", "a")
    with raises("k: expected a number; received a word"):
        checks.raise_invalid("k", "a number", checks.Unquoted("a word"))
    with raises("x: expected an integer from 0 to 2; received 3"):
        checks.check_int_below("x", 3, 3)
    with raises("x: expected words; received among them ['b']"):
        checks.check_items("x", ["a", ["b"]], str, "words")


@pytest.mark.parametrize(
    ("check", "value", "expected"),
    [
        ("int", np.int8(7), 7),
        ("positive_ints", (8, np.int32(4)), (8, 4)),
        ("rate", np.float32(0.5), 0.5),
        ("epsilon", 2, 2.0),
        ("path", "a", Path("a")),
    ],
)
def test_values_become_pythons(check, value, expected):
    found = getattr(checks, f"check_{check}")("x", value)
    assert repr(found) == repr(expected)
