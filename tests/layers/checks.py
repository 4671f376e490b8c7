"""Comparisons, and skips of what a backend cannot compute."""

import keras
import numpy as np
import pytest

from kseq.agreement.tables import left_out, tolerance


def assert_close(got, expected, kind="forward", dtype="float32", name=""):
    """Assert equality up to rounding, relative to the largest number."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape, name
    assert np.all(np.isfinite(got)), name
    scale = np.abs(expected).max(initial=0)
    distance = np.abs(got - expected).max(initial=0)
    assert distance <= tolerance(kind, dtype).limit * scale, name


def assert_all_close(got, expected, **options):
    for g, e in zip(got, expected, strict=True):
        assert_close(g, e, **options)


def skip_left_out(kind, dtype="float32"):
    """Skip a test of a computation that is left out on this backend."""
    reason = left_out(keras.backend.backend(), kind, dtype)
    if reason is not None:
        pytest.skip(reason)
