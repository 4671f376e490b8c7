"""What tests of all subjects use: arrays, comparisons, marks and skips."""

import keras
import numpy as np
import pytest
from keras import ops

from kseq.agreement import probes
from kseq.agreement.measure import to_numpy as to_storable
from kseq.agreement.tables import left_out, tolerance


def once(*values, **options):
    """A parameter whose test does not depend on the backend."""
    return pytest.param(*values, marks=pytest.mark.once, **options)


def skip_left_out(kind, dtype="float32"):
    """Skip a test of a computation that is left out on this backend."""
    reason = left_out(keras.backend.backend(), kind, dtype)
    if reason is not None:
        pytest.skip(reason)


def to_numpy(tensor):
    return np.asarray(ops.convert_to_numpy(tensor))


def assert_close(
    got, expected, kind="forward", dtype="float32", name="", scale=0.0
):
    """Assert equality up to rounding, relative to the largest number.

    Args:
        scale: what is taken for the largest number if that is smaller.
    """
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape, name
    assert np.all(np.isfinite(got)), name
    expected = expected.astype("float64")
    scale = max(scale, np.abs(expected).max(initial=0))
    distance = np.abs(got.astype("float64") - expected).max(initial=0)
    assert distance <= tolerance(kind, dtype).limit * scale, name


def assert_all_close(got, expected, **options):
    for g, e in zip(got, expected, strict=True):
        assert_close(g, e, **options)


def gradients(function, args, kwargs, cotangents, compiled=False):
    """Return the gradients of the sum of the outputs times cotangents.

    Returns:
        Those of floating-point arguments, and those of trainable weights.
    """
    found = probes.gradients(function, args, kwargs, cotangents, compiled)
    inputs = probes.float_tensors((args, kwargs))
    layers = [function] if isinstance(function, keras.Layer) else []
    weights = [w for x in layers for w in x.weights if w.trainable]
    groups = zip((inputs, weights), zip(*found, strict=True), strict=True)
    return tuple(
        [total(x, each) for x, *each in zip(group, *per_output, strict=True)]
        for group, per_output in groups
    )


def total(x, gradients):
    given = [to_storable(g) for g in gradients if g is not None]
    return np.sum(given, axis=0) if given else np.zeros(tuple(x.shape))
