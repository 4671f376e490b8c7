"""What each check accepts, and the errors that it raises."""

import re
from pathlib import Path

import numpy as np
import pytest

from kseq import checks

pytestmark = pytest.mark.once
ARRAYS = [np.array(7), np.array([7])]
NOT_INTEGERS = [True, np.True_, 1.0, np.float32(1), "1", None, [1], *ARRAYS]
NOT_NUMBERS = [
    *(True, np.True_, None, "0.5", b"0.5", [0.5], np.array([0.5]), 1j),
    *(float("nan"), float("inf"), -float("inf"), 10**400),
]


def raises(message):
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


def test_an_error_names_argument_expected_and_received():
    with raises("k: expected a number; received 'a'"):
        checks.raise_invalid("k", "a number", "a")
    with raises("k: expected a number; received a word"):
        checks.raise_invalid("k", "a number", checks.Unquoted("a word"))


def test_inputs_are_described_by_their_shapes():
    x = np.zeros((2, 3))
    described = checks.describe_inputs({"mask": [x, (x, None, "x")]})
    assert repr(described) == (
        "{'mask': [shape (2, 3), [shape (2, 3), None, 'x']]}"
    )


def test_real_arrays():
    dtypes = ("bool", "int8", "uint8", "float16", "complex64", "object")
    real = [checks.is_real(np.ones(2, dtype)) for dtype in dtypes]
    assert real == [True] * 4 + [False] * 2


INTS = "a sequence of positive integers"
ABOVE_0 = "a finite number above 0"
# A check and its further arguments, the type of its result, values that it
# accepts and rejects, and what it expects.
TABLE = [
    ("one_of", [(1, 2)], int, [1], [True, 1.0, "1", [1]], "one of 1, 2"),
    ("bool", [], bool, [True], [0, None, "True", np.True_], "True or False"),
    ("int", [], int, [0, -3, np.int8(7)], NOT_INTEGERS, "an integer"),
    (
        *("int_below", [3], int, [0, np.int64(2)]),
        *([*NOT_INTEGERS, -1, 3], "an integer from 0 to 2"),
    ),
    (
        *("positive_int", [], int, [1, 10**30, np.uint8(7)]),
        *([*NOT_INTEGERS, 0, -1, np.int64(0)], "a positive integer"),
    ),
    (
        *("positive_ints", [], tuple, [(), (8, np.int32(4))]),
        *([8, None, "84", {1: 2}, {3}, np.array(8), (8, 0), (True,)], INTS),
    ),
    ("instance", [str | bytes, "a word"], str, ["a"], [3, None], "a word"),
    ("path", [], type(Path()), [Path("a")], [3, None, b"a"], "a path"),
    (
        "items",
        [str, "words"],
        tuple,
        [("a", "b")],
        ["ab", None, {"a"}],
        "words",
    ),
    (
        *("axis", [3], int, [1, 2, np.int64(2)]),
        *([*NOT_INTEGERS, 0, 3, -3], "1 to 2, or -2 to -1"),
    ),
    ("number", [1.0, 2.0, "1 to 2"], float, [1, 1.5], [0.9, 2.0], "1 to 2"),
    (
        *("rate", [], float, [0, 1 - 1e-9, np.float32(0.5)]),
        *([*NOT_NUMBERS, 1, -0.1], "a number in [0, 1)"),
    ),
    ("epsilon", [], float, [1e-300, 2], [*NOT_NUMBERS, 0, 5e-324], ABOVE_0),
    (
        *("nonnegative", [], float, [0, 1e300, 10**9]),
        *([*NOT_NUMBERS, -1e-9], "a finite number of at least 0"),
    ),
]


@pytest.mark.parametrize(
    ("check", "more", "kind", "accepted", "rejected", "expected"),
    TABLE,
    ids=[row[0] for row in TABLE],
)
def test_a_check_of_a_value(check, more, kind, accepted, rejected, expected):
    check = getattr(checks, f"check_{check}")
    for value in accepted:
        result = check("x", value, *more)
        assert result == value
        assert type(result) is kind
    for value in rejected:
        with raises(f"x: expected {expected}; received {value!r}"):
            check("x", value, *more)


def test_results_that_differ_from_the_value():
    assert checks.check_one_of("x", None, ("fw", None)) is None
    words = np.array(["fw", "bw"])
    with raises(f"x: expected one of 'fw'; received {words!r}"):
        checks.check_one_of("x", words, ("fw",))
    assert checks.check_path("x", "a") == Path("a")
    assert checks.check_axis("x", -2, 3) == 1
    (size,) = checks.check_positive_ints("x", np.array([8]))
    assert type(size) is int
    assert checks.check_items("x", iter("ab"), str, "words") == ("a", "b")


def test_an_item_of_another_class():
    with raises("x: expected words; received among them ['b']"):
        checks.check_items("x", ["a", ["b"]], str, "words")


@pytest.mark.parametrize("shape", [(2, 3), [2, None, 3]])
def test_a_shape(shape):
    assert checks.is_shape(shape)
    for other in ((), [shape], {"x": shape}, None, 3, "23", (*shape, 3.0)):
        assert not checks.is_shape(other)


def test_ranks():
    assert checks.check_min_rank("x", (2, None), 2) == (2, None)
    with raises("x: expected a tensor of rank 2 or more; received shape (2,)"):
        checks.check_min_rank("x", [2], 2)


def test_known_sizes():
    assert checks.check_known_dim("keys", (2, None, 8), -1) == 8
    with raises("x: expected a known size on axis 1; received shape (2, None)"):
        checks.check_known_dim("x", [2, None], 1)


def test_the_length_of_a_table():
    assert checks.resolve_table_length(None, 2, None, 5) == 5
    assert checks.resolve_table_length(4, 2) == 4
    assert checks.resolve_table_length(4, None) == 4
    with pytest.raises(ValueError, match="max_steps: expected the largest"):
        checks.resolve_table_length(None, None)
