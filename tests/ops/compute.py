"""Calls an op on the backend in use, as NumPy sees it."""

import contextlib

import keras
import numpy as np
import pytest
from hypothesis import settings
from keras import ops

from kseq.agreement import probes
from kseq.agreement.measure import dtype_scope
from kseq.agreement.numbers import rounded
from kseq.agreement.record import to_numpy
from kseq.agreement.tables import DTYPES, HALF_KINDS, left_out, tolerance
from kseq.ops.dtypes import HALF_DTYPES, dtype_of
from tests import cases


# Of 8 significant bits, so that every dtype is given the same numbers
# (test_float64.py has others).
def draw(name, *shape):
    return rounded(cases.draw(name, *shape), "bfloat16")


X = draw("x", *cases.X.shape)
WEIGHTS = draw("weights", *cases.WEIGHTS.shape)

BACKEND = keras.backend.backend()
KIND = HALF_KINDS[0]
COMPUTED = [d for d in DTYPES if left_out(BACKEND, KIND, d) is None]

each_dtype = pytest.mark.parametrize("dtype", COMPUTED)
each_half_dtype = pytest.mark.parametrize(
    "dtype", [dtype for dtype in COMPUTED if dtype in HALF_DTYPES]
)
needs_gradients = pytest.mark.skipif(
    left_out(BACKEND, "gradients", "float32") is not None,
    reason=f"{BACKEND} has no gradients",
)
# The same few examples in every run, and no files left behind.
few_examples = settings(
    max_examples=15, deadline=None, derandomize=True, database=None
)


def tensor(x, dtype):
    """An array as a tensor, of `dtype` where it is of floats."""
    if not isinstance(x, np.ndarray):
        return x
    return ops.convert_to_tensor(x, dtype if x.dtype.kind == "f" else None)


def compute(function, dtype, *arguments, **options):
    """The result as an array; the dtype must be the one that was given."""
    scope = contextlib.nullcontext()
    if dtype == "float64":  # the only one that the backends must be set to
        scope = dtype_scope(dtype)
    with scope:
        out = function(*(tensor(x, dtype) for x in arguments), **options)
        assert dtype_of(out) == dtype
        return to_numpy(out)


def gradient(function, x):
    """Of the sum of the function's output, in float32."""
    x = ops.convert_to_tensor(x, "float32")
    ones = [ops.ones_like(y) for y in probes.forward(function, x, {}, False)]
    (found,), _ = probes.gradients(function, x, {}, ones, False)
    return to_numpy(found)


def assert_close(got, expected, dtype):
    assert got.shape == expected.shape
    scale = np.abs(expected).max(initial=0.0) or 1.0
    np.testing.assert_allclose(
        got.astype("float64"),
        expected,
        rtol=0,
        atol=tolerance(KIND, dtype).limit * scale,
    )
