"""Calls an op on the backend in use, as NumPy sees it."""

import contextlib

import keras
import numpy as np
import pytest
from keras import ops

from kseq.agreement import probes
from kseq.agreement.computation import dtype_scope
from kseq.agreement.measure import to_numpy
from kseq.agreement.numbers import rounded
from kseq.agreement.tables import left_out, tolerance
from kseq.ops.dtypes import HALF_DTYPES, dtype_of
from tests.layers import catalog
from tests.support import gradients as gradients_of


def draw(name, *shape):
    """Numbers of 8 significant bits, which are the same in every dtype."""
    return rounded(catalog.draw(name, *shape), "bfloat16")


BACKEND = keras.backend.backend()
DTYPES = ("float64", "float32", *HALF_DTYPES)
COMPUTED = [d for d in DTYPES if left_out(BACKEND, "forward", d) is None]

each_dtype = pytest.mark.parametrize("dtype", COMPUTED)
each_half_dtype = pytest.mark.parametrize(
    "dtype", [dtype for dtype in COMPUTED if dtype in HALF_DTYPES]
)
needs_gradients = pytest.mark.skipif(
    left_out(BACKEND, "gradients", "float32") is not None,
    reason=f"{BACKEND} has no gradients",
)
not_without_steps_on_openvino = pytest.mark.skipif(
    BACKEND == "openvino",
    reason="it ends the process (docs/upstream/openvino_no_steps.py)",
)


def tensor(x, dtype):
    """An array as a tensor, of `dtype` where it is of floats."""
    if not isinstance(x, np.ndarray):
        return x
    return ops.convert_to_tensor(x, dtype if x.dtype.kind == "f" else None)


def compute(function, dtype, *arguments, **options):
    """The outputs as an array or a list; floats must have the given dtype.

    On JAX compiled, as Keras predicts there, and faster than op by op.
    """
    scope = contextlib.nullcontext()
    if dtype == "float64":  # the only one that the backends must be set to
        scope = dtype_scope(dtype)
    with scope:
        given = arguments, options
        flat = [tensor(x, dtype) for x in keras.tree.flatten(given)]
        at = [i for i, x in enumerate(flat) if ops.is_tensor(x)]

        def call(tensors):
            for i, x in zip(at, tensors, strict=True):
                flat[i] = x
            arguments, options = keras.tree.pack_sequence_as(given, flat)
            return function(*arguments, **options)

        tensors = [flat[i] for i in at]
        out = probes.forward(call, (tensors,), {}, compiled=BACKEND == "jax")
        out = keras.tree.flatten(out)
        for y in out:
            assert dtype_of(y) in (dtype, "bool")
        arrays = [to_numpy(y) for y in out]
        return arrays if len(arrays) > 1 else arrays[0]


def gradients(function, inputs, cotangents=None, compiled=BACKEND == "jax"):
    """Of the sum of the outputs times cotangents (or 1), in float32.

    On JAX compiled, as Keras trains there, and faster than op by op.
    """
    inputs = keras.tree.map_structure(lambda x: tensor(x, "float32"), inputs)
    outputs = probes.forward(function, (inputs,), {}, False)
    outputs = keras.tree.flatten(outputs)
    if cotangents is None:
        cotangents = [ops.ones_like(y) for y in outputs]
    cotangents = [
        ops.cast(c, y.dtype) for c, y in zip(cotangents, outputs, strict=True)
    ]
    found, _ = gradients_of(function, (inputs,), {}, cotangents, compiled)
    return found


def gradient(function, x):
    (found,) = gradients(function, x)
    return found


def assert_close(got, expected, dtype):
    check_within(got, expected, tolerance("forward", dtype).limit)


def assert_close_gradient(got, expected):
    check_within(got, expected, 2e-5, floor=5e-6)


def check_within(got, expected, limit, floor=0.0):
    assert got.shape == expected.shape
    scale = np.abs(expected).max(initial=0.0) or 1.0
    np.testing.assert_allclose(
        got.astype("float64"), expected, rtol=0, atol=limit * scale + floor
    )
