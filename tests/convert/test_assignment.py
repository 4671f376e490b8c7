"""`load_h5` assigns arrays on each backend: all of them, or none."""

import h5py
import keras
import numpy as np
import pytest

from kseq.convert.deepctr import load_h5
from tests.convert.recorded import write_h5

KERNEL = np.array([[1, 2], [3, 4]])


@pytest.fixture
def dense(tmp_path):
    x = keras.Input((2,))
    model = keras.Model(x, keras.layers.Dense(2, name="dense")(x))
    weights = {"kernel": KERNEL, "bias": np.ones(2)}
    return model, write_h5(tmp_path / "dense.h5", {"dense": weights})


@pytest.mark.parametrize("dtype", [">f4", "<f8", "longdouble", "f2", ">i8"])
def test_arrays_of_any_number_type(dtype, dense):
    """Of the other byte order, or longer than a backend accepts."""
    model, path = dense
    with h5py.File(path, "r+") as file:
        del file["dense"]["dense/kernel:0"]
        file["dense"]["dense/kernel:0"] = KERNEL.astype(dtype)
    load_h5(model, path)
    np.testing.assert_array_equal(model.get_weights()[0], KERNEL)


def test_a_failing_assignment_changes_nothing(dense, monkeypatch):
    model, path = dense
    before = model.get_weights()
    assign = keras.Variable.assign
    assigned = []

    def fail(self, value):
        assigned.append(self.path)
        if len(assigned) == 2:
            raise MemoryError("the device is full")
        return assign(self, value)

    monkeypatch.setattr(keras.Variable, "assign", fail)
    with pytest.raises(MemoryError, match="the device is full"):
        load_h5(model, path)
    keras.tree.map_structure(
        np.testing.assert_array_equal, model.get_weights(), before
    )
    load_h5(model, path)
    assert model.get_weights()[1].all()
