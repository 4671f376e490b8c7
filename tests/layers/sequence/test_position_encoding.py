import keras
import numpy as np
import pytest

from kseq.layers.sequence import PositionEncoding, positional_encoding
from tests.arrays import to_numpy
from tests.layers.catalog import draw32
from tests.reference.transformer import table

X = draw32("x", 4, 6, 3)
TABLE = table(6, 3)


def test_a_trained_table_takes_at_most_its_steps():
    layer = PositionEncoding()
    first = to_numpy(layer(X[:, :4]))
    with pytest.raises(ValueError, match="at most 4 steps") as error:
        layer(X)
    assert "6" in str(error.value)
    shorter = to_numpy(layer(X[:, :3]))
    np.testing.assert_array_equal(shorter, first[:, :3])


def test_too_many_steps_of_a_compiled_model():
    x = keras.Input((None, 3))
    model = keras.Model(x, PositionEncoding(max_steps=4)(x))
    model.predict(X[:, :1], verbose=0)
    # TensorFlow knows the steps only in its graph, and has its own error.
    with pytest.raises(Exception, match=r"at most|Slice"):
        model.predict(X, verbose=0)


def test_a_fixed_table_is_computed_for_any_steps():
    layer = PositionEncoding(False, scale=False, max_steps=2)
    x = keras.Input((None, 3))
    model = keras.Model(x, layer(x))
    for steps in (6, 1):
        got = to_numpy(model(X[:, :steps])) - X[:, :steps]
        np.testing.assert_allclose(got[0], TABLE[:steps], atol=1e-6)
    assert layer.weights == [] or not layer.trainable_weights


@pytest.mark.parametrize("max_steps", [None, 6])
def test_a_saved_model_has_its_table(max_steps, tmp_path):
    """Also if a call has built the layer."""
    model = keras.Sequential([PositionEncoding(max_steps=max_steps)])
    expected = to_numpy(model(X))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(to_numpy(loaded(X)), expected)
    np.testing.assert_array_equal(to_numpy(loaded(X[:, :4])), expected[:, :4])


def test_the_function_makes_a_layer():
    x = keras.Input((6, 3))
    model = keras.Model(x, positional_encoding(x, scale=False))
    assert any(isinstance(layer, PositionEncoding) for layer in model.layers)
    got = to_numpy(model(X)) - X
    np.testing.assert_allclose(got[0], TABLE, atol=1e-6)
