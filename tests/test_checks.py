"""What the checks accept, what they refuse, and how they say it."""

import re

import numpy as np
import pytest

from kseq import checks

BOTH = ("fw", "bw")
HUGE = 10**30


def says(message):
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


def test_the_error_names_argument_expected_and_received():
    with says("k: expected a number; received 'a'"):
        checks.raise_invalid("k", "a number", "a")


def test_tensors_are_shown_by_their_shapes():
    x = np.zeros((2, 3))
    assert repr(checks.describe_inputs(x)) == "shape (2, 3)"
    assert repr(checks.describe_inputs((x, [x, None]))) == (
        "[shape (2, 3), [shape (2, 3), None]]"
    )
    assert (
        repr(checks.describe_inputs({"mask": [x]}))
        == "{'mask': [shape (2, 3)]}"
    )
    assert checks.describe_inputs("x") == "x"


class TestOneOf:
    @pytest.mark.parametrize("value", BOTH)
    def test_accepts(self, value):
        assert checks.check_one_of("mode", value, BOTH) == value

    @pytest.mark.parametrize(
        "value", ["FW", "", None, 1, ["fw"], np.array(["fw", "bw"])]
    )
    def test_refuses(self, value):
        with says(f"mode: expected one of 'fw', 'bw'; received {value!r}"):
            checks.check_one_of("mode", value, BOTH)

    @pytest.mark.parametrize("value", [True, 1.0, "1", np.array([1, 2])])
    def test_a_value_of_another_type_is_another(self, value):
        with says(f"n: expected one of 1, 2; received {value!r}"):
            checks.check_one_of("n", value, (1, 2))

    def test_none_may_be_an_option(self):
        assert checks.check_one_of("mode", None, ("fw", None)) is None


class TestBool:
    @pytest.mark.parametrize("value", [True, False])
    def test_accepts(self, value):
        assert checks.check_bool("use_bn", value) is value

    @pytest.mark.parametrize("value", [0, 1, None, "True", np.True_, [True]])
    def test_refuses(self, value):
        with says(f"use_bn: expected True or False; received {value!r}"):
            checks.check_bool("use_bn", value)


INTEGERS = [1, 7, HUGE, np.int8(7), np.int64(7), np.uint8(7)]
NOT_INTEGERS = [True, False, np.True_, 1.0, np.float32(1), "1", None, [1], 1j]


class TestInt:
    @pytest.mark.parametrize("value", [*INTEGERS, 0, -3, np.int64(-3)])
    def test_accepts(self, value):
        got = checks.check_int("axis", value)
        assert type(got) is int
        assert got == value

    @pytest.mark.parametrize("value", NOT_INTEGERS)
    def test_refuses(self, value):
        with says(f"axis: expected an integer; received {value!r}"):
            checks.check_int("axis", value)


class TestPositiveInt:
    @pytest.mark.parametrize("value", INTEGERS)
    def test_accepts(self, value):
        got = checks.check_positive_int("k", value)
        assert type(got) is int
        assert got == value

    @pytest.mark.parametrize("value", [*NOT_INTEGERS, 0, -1, np.int64(0)])
    def test_refuses(self, value):
        with says(f"k: expected a positive integer; received {value!r}"):
            checks.check_positive_int("k", value)


# An array, NumPy's and each backend's, has __index__ whatever it holds.
@pytest.mark.parametrize(
    "value", [np.array(7), np.array([7]), np.array([1, 2]), np.array(3.5)]
)
@pytest.mark.parametrize(
    ("check", "expected"),
    [
        (checks.check_int, "an integer"),
        (checks.check_positive_int, "a positive integer"),
    ],
)
def test_arrays_are_no_integers(check, expected, value):
    with says(f"k: expected {expected}; received {value!r}"):
        check("k", value)


class TestItems:
    @pytest.mark.parametrize("values", [["a", "b"], ("a", "b"), iter("ab")])
    def test_accepts(self, values):
        got = checks.check_items("names", values, str, "names")
        assert got == ("a", "b")

    @pytest.mark.parametrize(
        ("values", "received"),
        [
            ("ab", "'ab'"),
            (None, "None"),
            (["a", ["b"]], "among them ['b']"),
        ],
    )
    def test_refuses(self, values, received):
        with says(f"names: expected names; received {received}"):
            checks.check_items("names", values, str, "names")


def test_an_instance_of_one_of_some_classes():
    assert checks.check_instance("x", "a", str | bytes, "a word") == "a"
    with says("x: expected a word; received 3"):
        checks.check_instance("x", 3, str | bytes, "a word")


class TestPositiveInts:
    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            ((), ()),
            ([], ()),
            ([4], (4,)),
            ((8, np.int32(4)), (8, 4)),
            (np.array([8, 4]), (8, 4)),
            (range(1, 3), (1, 2)),
            ((n for n in (2, 3)), (2, 3)),
        ],
    )
    def test_accepts(self, values, expected):
        got = checks.check_positive_ints("units", values)
        assert got == expected
        assert all(type(value) is int for value in got)

    @pytest.mark.parametrize(
        ("values", "received"),
        [
            (8, "8"),
            (None, "None"),
            ("84", "'84'"),
            (b"84", "b'84'"),
            ([8, 0], "(8, 0)"),
            ([8, -4], "(8, -4)"),
            ([8, True], "(8, True)"),
            ([8, 4.0], "(8, 4.0)"),
            ([8, None], "(8, None)"),
            ([[8]], "([8],)"),
            (["8"], "('8',)"),
            (np.array([8.0]), "(np.float64(8.0),)"),
        ],
    )
    def test_refuses(self, values, received):
        with says(
            "units: expected a sequence of positive integers; "
            f"received {received}"
        ):
            checks.check_positive_ints("units", values)

    def test_an_array_of_rank_2_is_refused(self):
        with pytest.raises(ValueError, match="units: expected a sequence"):
            checks.check_positive_ints("units", np.ones((2, 2), int))

    def test_an_array_of_rank_0_is_refused(self):
        with pytest.raises(ValueError, match="units: expected a sequence"):
            checks.check_positive_ints("units", np.array(8))


class TestAxis:
    @pytest.mark.parametrize(
        ("axis", "expected"),
        [(1, 1), (2, 2), (-1, 2), (-2, 1), (np.int64(-1), 2)],
    )
    def test_accepts(self, axis, expected):
        got = checks.check_axis("axis", axis, 3)
        assert type(got) is int
        assert got == expected

    @pytest.mark.parametrize("axis", [0, 3, -3, 99, True, 1.0, "1", None, [1]])
    def test_refuses(self, axis):
        with says(f"axis: expected 1 to 2, or -2 to -1; received {axis!r}"):
            checks.check_axis("axis", axis, 3)

    def test_the_bounds_follow_the_rank(self):
        assert checks.check_axis("axis", -3, 4) == 1
        with says("axis: expected 1 to 3, or -3 to -1; received 4"):
            checks.check_axis("axis", 4, 4)


NOT_NUMBERS = [
    True,
    False,
    None,
    "0.5",
    "x",
    [0.5],
    np.array([0.5, 0.5]),
    1j,
    float("nan"),
    float("inf"),
    -float("inf"),
]


class TestRate:
    @pytest.mark.parametrize("value", [0, 0.0, 0.5, 1 - 1e-9, np.float32(0.5)])
    def test_accepts(self, value):
        got = checks.check_rate("rate", value)
        assert type(got) is float
        assert got == value

    @pytest.mark.parametrize("value", [*NOT_NUMBERS, 1, 1.0, -0.1, 2])
    def test_refuses(self, value):
        with says(f"rate: expected a number in [0, 1); received {value!r}"):
            checks.check_rate("rate", value)


class TestNonnegative:
    @pytest.mark.parametrize("value", [0, 1, 0.0, 1e300, np.float64(2), 10**9])
    def test_accepts(self, value):
        got = checks.check_nonnegative("l2_reg", value)
        assert type(got) is float
        assert got == value

    @pytest.mark.parametrize("value", [*NOT_NUMBERS, -1, -1e-9])
    def test_refuses(self, value):
        with says(
            "l2_reg: expected a finite number of at least 0; "
            f"received {value!r}"
        ):
            checks.check_nonnegative("l2_reg", value)

    def test_an_integer_too_large_for_a_float_is_refused(self):
        with pytest.raises(ValueError, match="l2_reg: expected a finite"):
            checks.check_nonnegative("l2_reg", 10**400)

    @pytest.mark.parametrize("value", [b"0.5", np.True_])
    def test_what_only_looks_like_a_number_is_refused(self, value):
        with pytest.raises(ValueError, match="l2_reg: expected a finite"):
            checks.check_nonnegative("l2_reg", value)


def test_a_number_has_the_bounds_that_are_given():
    def check(value):
        return checks.check_number("t", value, 1.0, 2.0, "1 to 2")

    assert check(1) == 1.0
    for value in (0.999, 2.0):
        with says(f"t: expected 1 to 2; received {value!r}"):
            check(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((2, 3), True),
        ([2, None, 3], True),
        ((), False),
        ([(2, 3), (2,)], False),
        ([(2, 3)], False),
        ({"x": (2, 3)}, False),
        (None, False),
        (3, False),
        ("23", False),
        ((2, "3"), False),
        ((2, 3.0), False),
    ],
)
def test_a_shape_is_told_from_a_structure_of_shapes(value, expected):
    assert checks.is_shape(value) is expected


class TestRank:
    @pytest.mark.parametrize("shape", [(2, 3), (2, None, 3), [2, 3]])
    def test_accepts(self, shape):
        assert checks.check_rank("x", shape, (2, 3)) == shape

    @pytest.mark.parametrize(
        ("shape", "ranks", "message"),
        [
            ((2,), (3,), "a tensor of rank 3; received shape (2,)"),
            ((), (1, 2), "a tensor of rank 1 or 2; received shape ()"),
            (
                [2, None, 1, 1],
                (2, 3),
                "a tensor of rank 2 or 3; received shape (2, None, 1, 1)",
            ),
        ],
    )
    def test_refuses(self, shape, ranks, message):
        with says(f"x: expected {message}"):
            checks.check_rank("x", shape, ranks)


class TestSameDim:
    @pytest.mark.parametrize(
        ("axis", "shapes", "expected"),
        [
            (-1, {"query": (2, 1, 8), "keys": (2, None, 8)}, 8),
            (1, {"query": (2, 1, 8), "keys": (2, None, 8)}, 1),
            (1, {"query": (2, None, 8), "keys": (2, 4, 8)}, 4),
            (0, {"query": (None, 1), "keys": (None, 1)}, None),
            (-1, {"query": [2, 8], "keys": (2, 4, 8), "more": (8,)}, 8),
        ],
    )
    def test_gives_the_known_size(self, axis, shapes, expected):
        assert checks.check_same_dim(axis, **shapes) == expected

    def test_refuses(self):
        with says(
            "query and keys: expected equal sizes on axis -1; received "
            "{'query': (2, 1, 8), 'keys': (2, 5, 9)}"
        ):
            checks.check_same_dim(-1, query=(2, 1, 8), keys=(2, 5, 9))

    def test_a_size_that_is_not_known_is_not_blamed(self):
        with says(
            "query and more: expected equal sizes on axis 0; received "
            "{'query': (2,), 'keys': (None,), 'more': (3,)}"
        ):
            checks.check_same_dim(0, query=(2,), keys=(None,), more=(3,))


class TestKnownDim:
    @pytest.mark.parametrize(("axis", "expected"), [(-1, 8), (0, 2)])
    def test_accepts(self, axis, expected):
        got = checks.check_known_dim("keys", (2, None, 8), axis)
        assert got == expected

    def test_refuses(self):
        with says(
            "keys: expected a known size on axis 1; received shape (2, None, 8)"
        ):
            checks.check_known_dim("keys", [2, None, 8], 1)


@pytest.mark.parametrize(("steps", "rows"), [(None, 1), (0, 1), (3, 3)])
def test_steps_that_a_table_serves(steps, rows):
    checks.check_max_steps(steps, rows)


def test_more_steps_than_a_table_has():
    with pytest.raises(ValueError, match=r"at most 3 steps .* received 4"):
        checks.check_max_steps(4, 3)


@pytest.mark.parametrize(
    ("max_steps", "steps", "rows"),
    [(None, (3,), 3), (None, (2, None, 5), 5), (4, (2,), 4), (4, (None,), 4)],
)
def test_the_length_of_a_table(max_steps, steps, rows):
    assert checks.resolve_table_length(max_steps, *steps) == rows


def test_the_length_of_a_table_must_be_told():
    with pytest.raises(ValueError, match="max_steps: expected the table's"):
        checks.resolve_table_length(None, None, None)
