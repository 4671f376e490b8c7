"""Every case, on this backend, against its float64 reference."""

import keras
import numpy as np
import pytest

from kseq.agreement.measure import measure, reference_values
from kseq.agreement.record import to_numpy
from kseq.agreement.tables import left_out, tolerance
from tests.cases import CASES

COMPUTATIONS = [
    pytest.param(case, dtype, kind, id=f"{case.name}-{dtype}-{kind}")
    for case in CASES
    for dtype in case.dtypes
    for kind in case.kinds
]


@pytest.fixture(scope="module")
def references():
    """References by case and kind: they know no dtype and no compiler."""
    made = {}

    def of(case, kind):
        key = case.name, kind.removesuffix("_compiled")
        if key not in made:
            made[key] = reference_values(case, kind)
        return made[key]

    return of


@pytest.mark.parametrize(("case", "dtype", "kind"), COMPUTATIONS)
def test_case(case, dtype, kind, references, record):
    why = left_out(keras.backend.backend(), kind, dtype)
    if why is not None:
        record.leave_out(case.name, dtype, kind, why)
        return
    values = measure(case, dtype, kind)
    record.add(case.name, dtype, kind, values)
    expected = references(case, kind)
    record.add_reference(case.name, kind, expected)
    arrays = {name: to_numpy(value) for name, value in values.items()}
    for name, array in arrays.items():
        assert np.all(np.isfinite(array)), name
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
