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
        ("positive_int", np.uint8(7), 7),
        ("positive_ints", (8, np.int32(4)), (8, 4)),
        ("positive_ints", np.array([8]), (8,)),
        ("rate", np.float32(0.5), 0.5),
        ("nonnegative", 10**9, 1e9),
        ("epsilon", 2, 2.0),
        ("path", "a", Path("a")),
    ],
)
def test_values_become_pythons(check, value, expected):
    found = getattr(checks, f"check_{check}")("x", value)
    assert found == expected
    assert type(found) is type(expected)
    assert not isinstance(found, tuple) or {*map(type, found)} == {int}


@pytest.mark.parametrize("check", ["rate", "epsilon", "nonnegative"])
def test_numbers_that_are_no_floats(check):
    for value in (np.True_, b"0.5", np.array([0.5]), 10**400, -float("inf")):
        with pytest.raises(ValueError, match=r"^x: expected .*; received "):
            getattr(checks, f"check_{check}")("x", value)


def test_axes_and_items():
    assert checks.check_axis("x", -2, 3) == 1
    assert checks.check_items("x", iter("ab"), str, "words") == ("a", "b")


def test_ranks_and_known_sizes():
    assert checks.check_min_rank("x", (2, None), 2) == (2, None)
    with raises("x: expected a tensor of rank 2 or more; received shape (2,)"):
        checks.check_min_rank("x", [2], 2)
    assert checks.check_known_dim("keys", (2, None, 8), -1) == 8
    with raises("x: expected a known size on axis 1; received shape (2, None)"):
        checks.check_known_dim("x", [2, None], 1)


def test_the_length_of_a_table():
    assert checks.resolve_table_length(None, 2, None, 5) == 5
    assert checks.resolve_table_length(4, 2) == 4
    assert checks.resolve_table_length(4, None) == 4
    with pytest.raises(ValueError, match="max_steps: expected the largest"):
        checks.resolve_table_length(None, None)
