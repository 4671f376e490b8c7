"""The ready inputs show faults that ordinary random numbers do not show."""

import numpy as np
import pytest

from kseq.agreement import inputs
from kseq.agreement.values import Limits, find_difference

pytestmark = pytest.mark.once

FLOATS = inputs.floats(4, 6, 3)
IDS = inputs.ids(4, 6, size=5)
MASKS = inputs.masks(4, 6)
LENGTHS = inputs.lengths(4, 6)


# A correct function, a wrong one with a fault that Keras, a backend or an
# add-on had, and the inputs that show it.
FAULTS = {
    "variance as a difference of squares": (
        lambda x: x.var(1),
        lambda x: (x**2).mean(1) - x.mean(1) ** 2,
        FLOATS,
        "offset",
    ),
    "the last of equal maxima": (
        lambda x: x.argmax(1),
        lambda x: x.shape[1] - 1 - x[:, ::-1].argmax(1),
        FLOATS,
        "ties zeros empty_row",
    ),
    "axes mistaken for each other where sizes coincide": (
        lambda x: x.sum(1),
        lambda x: x.sum(2 if x.shape[2] == x.shape[0] else 1),
        FLOATS,
        "square",
    ),
    "one step squeezed": (lambda x: x, np.squeeze, FLOATS, "one_step"),
    "no rows": (
        lambda x: x.max(2),
        lambda x: x.max(2) if len(x) else x,
        FLOATS,
        "no_rows",
    ),
    "overflow": (
        lambda x: np.abs(x).max(1),
        lambda x: np.sqrt((x**2).max(1)),
        FLOATS,
        "extremes",
    ),
    "NaN becomes a number": (
        lambda x: np.maximum(x, 0),
        lambda x: np.where(x > 0, x, 0),
        FLOATS,
        "nan",
    ),
    "infinity clipped": (
        lambda x: np.exp(-x),
        lambda x: np.exp(-np.maximum(x, -80)),
        FLOATS,
        "infinite",
    ),
    "ids wrap": (
        lambda i: np.arange(5)[np.clip(i, 0, 4)],
        lambda i: np.arange(5)[np.minimum(i, 4)],
        IDS,
        "outside",
    ),
    "the last valid step is counted": (
        lambda m: m * np.arange(6),
        lambda m: (np.arange(6) < m.sum(1, keepdims=True)) * np.arange(6),
        MASKS,
        "holes padded_left",
    ),
    "the step before the first": (
        lambda n: np.maximum(n - 1, 0),
        lambda n: n - 1,
        LENGTHS,
        "empty_row empty",
    ),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("fault", FAULTS)
def test_inputs_show_the_fault(fault):
    right, wrong, arrays, names = FAULTS[fault]
    found = set()
    for name, x in arrays.items():
        x = x.astype("float32") if x.dtype.kind == "f" else x
        values = {"right": np.asarray(right(x)), "wrong": np.asarray(wrong(x))}
        if find_difference(values, Limits(2e-6, "float32")):
            found.add(name)
    assert found >= set(names.split())
    assert next(iter(arrays)) not in found  # ordinary numbers do not show it


def test_repeated_ids_show_a_lost_gradient():
    ids = IDS["repeated"].ravel()
    assert np.bincount(ids).max() == ids.size
    assert {*IDS["ends"].ravel()} == {0, 4}


@pytest.mark.parametrize(
    ("function", "argument", "call"),
    [
        (inputs.floats, "shape", ()),
        (inputs.floats, "shape", (4, 0)),
        (inputs.masks, "steps", (4, 0)),
        (inputs.lengths, "rows", (-1, 4)),
    ],
)
def test_wrong_arguments(function, argument, call):
    with pytest.raises(ValueError, match=f"{argument}: expected"):
        function(*call)
