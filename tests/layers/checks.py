"""What the tests of layers share: nearness, and what a backend is spared."""

import keras
import numpy as np
import pytest

from kseq.agreement.tables import left_out, tolerance


def assert_close(got, expected, kind="forward", dtype="float32", name=""):
    """Equal but for rounding, measured by the largest expected number."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape, name
    assert np.all(np.isfinite(got)), name
    scale = np.abs(expected).max(initial=0)
    distance = np.abs(got - expected).max(initial=0)
    assert distance <= tolerance(kind, dtype).limit * scale, name


def skip_left_out(kind, dtype="float32"):
    """Skip a test of what this backend is not asked for."""
    reason = left_out(keras.backend.backend(), kind, dtype)
    if reason is not None:
        pytest.skip(reason)
