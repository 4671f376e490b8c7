"""Arrays that reveal faults which ordinary random numbers do not reveal.

Each function returns a dict of arrays by name, the same in every process. The
names parametrize a test:

    FLOATS = inputs.floats(4, 6, 3)

    @pytest.mark.parametrize("name", FLOATS)
    def test_softmax(agreement, name):
        agreement(keras.ops.softmax, FLOATS[name])
"""

from typing import Any

import numpy as np

from kseq.checks import check_positive_int, check_positive_ints, raise_invalid


def floats(*shape: int) -> dict[str, Any]:
    """Return float64 arrays of a shape.

    - "normal": standard normal
    - "ties": -1, 0 and 1, so that maxima and sorted values are equal
    - "zeros": 0
    - "empty_row": normal; 0 in the first row
    - "offset": normal + 1000, where a variance loses digits
    - "extremes": from 1e-30 to 1e30; squares overflow in float32
    - "nan": normal; NaN in the first element of the last row
    - "infinite": normal; infinity and -infinity in the last row
    - "no_rows": shape `(0, ...)`
    - "one_step": normal, with one element on the second axis
    - "square": normal, with the first size on every axis

    "one_step" and "square" need a second axis.

    Args:
        *shape: the size of each axis, rows first.

    Returns:
        A dict of arrays.

    Raises:
        ValueError: if `shape` is not one or more positive integers.

    Example:
        >>> from kseq.agreement import inputs
        >>> arrays = inputs.floats(4, 6, 3)
        >>> arrays["ties"].shape, arrays["one_step"].shape
        ((4, 6, 3), (4, 1, 3))
        >>> [*arrays][:5]
        ['normal', 'ties', 'zeros', 'empty_row', 'offset']
    """
    shape = _check_shape(shape)
    random = np.random.default_rng(0)
    normal = random.normal(size=shape)
    arrays = {
        "normal": normal,
        "ties": random.integers(-1, 2, size=shape).astype("float64"),
        "zeros": np.zeros(shape),
        "empty_row": normal.copy(),
        "offset": normal + 1000,
        "extremes": np.sign(normal) * 10.0 ** random.integers(-30, 31, shape),
        "nan": normal.copy(),
        "infinite": normal.copy(),
        "no_rows": np.zeros((0, *shape[1:])),
    }
    arrays["empty_row"][0] = 0
    arrays["nan"].reshape(shape[0], -1)[-1, 0] = np.nan
    infinite = arrays["infinite"].reshape(shape[0], -1)
    infinite[-1, 0], infinite[-1, -1] = np.inf, -np.inf
    if len(shape) > 1:
        one, square = (shape[0], 1, *shape[2:]), (shape[0],) * len(shape)
        arrays["one_step"] = random.normal(size=one)
        arrays["square"] = random.normal(size=square)
    return arrays


def _check_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    if not shape:
        raise_invalid("shape", "one or more positive integers", shape)
    return check_positive_ints("shape", shape)


def ids(*shape: int, size: int) -> dict[str, Any]:
    """Return int32 arrays of ids of a table.

    - "random": 0 to `size - 1`
    - "zeros": 0, which is often padding
    - "repeated": one id in every place, so that gradients add up
    - "ends": 0 and `size - 1`
    - "outside": random; -1 in the first place and `size` in the last
    - "no_rows": shape `(0, ...)`
    - "one_step": random, with one element on the second axis

    What an id outside of the table means differs between backends. Leave
    "outside" out unless your layer defines it. "one_step" needs a second axis.

    Args:
        *shape: the size of each axis, rows first.
        size: the number of rows of the table.

    Returns:
        A dict of arrays.

    Raises:
        ValueError: if an argument is not a positive integer.

    Example:
        >>> from kseq.agreement import inputs
        >>> inputs.ids(2, 3, size=5)["outside"][[0, -1], [0, -1]]
        array([-1,  5], dtype=int32)
    """
    shape = _check_shape(shape)
    check_positive_int("size", size)
    random = np.random.default_rng(0)
    drawn = random.integers(0, size, shape)
    arrays = {
        "random": drawn,
        "zeros": np.zeros(shape),
        "repeated": np.full(shape, size // 2),
        "ends": random.integers(0, 2, shape) * (size - 1),
        "outside": drawn.copy(),
        "no_rows": np.zeros((0, *shape[1:])),
    }
    arrays["outside"].flat[0], arrays["outside"].flat[-1] = -1, size
    if len(shape) > 1:
        arrays["one_step"] = drawn[:, :1]
    return {name: x.astype("int32") for name, x in arrays.items()}


def masks(rows: int, steps: int) -> dict[str, Any]:
    """Return bool arrays of shape `(rows, steps)`, True in valid steps.

    - "full": all
    - "padded": the first ones, in numbers that include 1 and all
    - "padded_left": the last ones, likewise
    - "holes": random, with padding between them
    - "empty_row": like "padded"; none in the last row
    - "empty": none

    Args:
        rows: the number of rows; 0 fits the "no_rows" of `floats`.
        steps: the number of steps.

    Returns:
        A dict of arrays.

    Raises:
        ValueError: if `rows` is negative, or `steps` is not positive.

    Example:
        >>> from kseq.agreement import inputs
        >>> inputs.masks(3, 4)["padded"].astype(int)
        array([[1, 1, 1, 1],
               [1, 0, 0, 0],
               [1, 1, 1, 0]])
    """
    valid = lengths(rows, steps)
    step = np.arange(steps)
    padded = step < valid["mixed"][:, None]
    empty_row = padded.copy()
    empty_row[-1:] = False
    holes = np.random.default_rng(0).integers(0, 2, (rows, steps)) == 1
    holes[:, 1:2], holes[:, -1:] = False, True
    return {
        "full": np.ones((rows, steps), bool),
        "padded": padded,
        "padded_left": padded[:, ::-1],
        "holes": holes,
        "empty_row": empty_row,
        "empty": np.zeros((rows, steps), bool),
    }


def lengths(rows: int, steps: int) -> dict[str, Any]:
    """Return int32 arrays of shape `(rows,)`, the number of valid steps.

    - "full": `steps`
    - "mixed": `steps`, 1, then numbers between them
    - "empty_row": like "mixed"; 0 in the last row
    - "empty": 0

    Args:
        rows: the number of rows; 0 fits the "no_rows" of `floats`.
        steps: the number of steps.

    Returns:
        A dict of arrays.

    Raises:
        ValueError: if `rows` is negative, or `steps` is not positive.

    Example:
        >>> from kseq.agreement import inputs
        >>> inputs.lengths(4, 6)["empty_row"]
        array([6, 1, 4, 0], dtype=int32)
    """
    if rows != 0:
        check_positive_int("rows", rows)
    check_positive_int("steps", steps)
    mixed = np.random.default_rng(0).integers(1, steps + 1, rows)
    mixed[:2] = [steps, 1][: len(mixed)]
    empty_row = mixed.copy()
    empty_row[-1:] = 0
    arrays = {
        "full": np.full(rows, steps),
        "mixed": mixed,
        "empty_row": empty_row,
        "empty": np.zeros(rows),
    }
    return {name: x.astype("int32") for name, x in arrays.items()}
