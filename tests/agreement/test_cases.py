"""Compare every case with its float64 reference on this backend."""

import keras
import numpy as np
import pytest

from kseq.agreement.record import to_numpy
from kseq.agreement.run import record_case
from kseq.agreement.tables import tolerance
from tests.cases import CASES

COMPUTATIONS = [
    pytest.param(case, dtype, kind, id=f"{case.name}-{dtype}-{kind}")
    for case in CASES
    for dtype in case.dtypes
    for kind in case.kinds
]


@pytest.mark.parametrize(("case", "dtype", "kind"), COMPUTATIONS)
def test_case(case, dtype, kind, record):
    values = record_case(record, case, dtype, kind)
    if values is None:
        return
    arrays = {name: to_numpy(value) for name, value in values.items()}
    for name, array in arrays.items():
        assert np.all(np.isfinite(array)), name
    expected = record.references_of(case.name, dtype, kind)
    # Training has no reference; `agree` compares it between backends.
    assert bool(expected) == (kind != "fit")
    if not expected:
        return
    assert arrays.keys() == expected.keys()
    scale = max(np.abs(value).max() for value in expected.values())
    for name, value in expected.items():
        assert arrays[name].shape == value.shape
        got = keras.backend.standardize_dtype(values[name].dtype)
        assert got == dtype, f"{name} is {got}"
        error = np.abs(arrays[name] - value).max() / scale
        assert error <= tolerance(kind, dtype).limit, name
