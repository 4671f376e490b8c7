import keras
import numpy as np
import pytest

from kseq.layers.sequence import PositionEncoding, positional_encoding
from kseq.ops import sinusoid
from kseq.ops.positions import sinusoid_like
from tests.arrays import to_numpy
from tests.layers.catalog import draw32
from tests.reference.transformer import table

X = draw32("x", 2, 6, 5)


@pytest.mark.parametrize(("steps", "dim"), [(1, 1), (6, 4), (7, 5), (40, 3)])
def test_the_table_is_the_paper_s(steps, dim):
    np.testing.assert_allclose(sinusoid(steps, dim), table(steps, dim))


def test_the_table_of_unknown_steps_is_the_same():
    x = keras.Input((None, 5))
    model = keras.Model(x, PositionEncoding(False, scale=False, max_steps=2)(x))
    for steps in (6, 1, 3):
        got = to_numpy(model(np.zeros((2, steps, 5), "float32")))
        expected = np.broadcast_to(table(steps, 5), got.shape)
        np.testing.assert_allclose(got, expected, atol=1e-6)
    got = to_numpy(sinusoid_like(X))
    np.testing.assert_allclose(got, table(6, 5), atol=1e-6)


def test_a_table_serves_every_shorter_sequence():
    layer = PositionEncoding()
    full = to_numpy(layer(X))
    np.testing.assert_array_equal(to_numpy(layer(X[:, :4])), full[:, :4])


def test_a_trained_table_refuses_a_longer_sequence():
    layer = PositionEncoding()
    layer(X[:, :4])
    with pytest.raises(ValueError, match="at most 4 steps") as refused:
        layer(X)
    assert "6" in str(refused.value)


@pytest.mark.parametrize("max_steps", [1, 4])
def test_a_longer_sequence_of_unknown_steps_does_not_pass(max_steps):
    x = keras.Input((None, 5))
    model = keras.Model(x, PositionEncoding(max_steps=max_steps)(x))
    model.predict(X[:, :1], verbose=0)
    # TensorFlow knows the steps only in its graph, and says it in its words.
    with pytest.raises(Exception, match=r"at most|Slice"):
        model.predict(X, verbose=0)


def test_a_fixed_table_is_computed_on():
    layer = PositionEncoding(pos_embedding_trainable=False, scale=False)
    layer(X[:, :4])
    got = to_numpy(layer(X)) - X
    np.testing.assert_allclose(got[0], table(6, 5), atol=1e-6)
    assert layer.trainable_weights == []


def test_zero_pad_and_scale():
    got = to_numpy(PositionEncoding(zero_pad=True)(X)) - X
    expected = table(6, 5) * 5**0.5
    expected[0] = 0
    np.testing.assert_allclose(got[0], expected, atol=1e-6)


def test_a_saved_model_takes_shorter_sequences(tmp_path):
    x = keras.Input((None, 5))
    model = keras.Model(x, PositionEncoding(max_steps=6)(x))
    expected = to_numpy(model(X))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(to_numpy(loaded(X[:, :4])), expected[:, :4])


def test_a_layer_built_by_a_call_saves_its_length(tmp_path):
    layer = PositionEncoding()
    model = keras.Sequential([layer])
    expected = to_numpy(model(X))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(to_numpy(loaded(X)), expected)


def test_the_function_makes_a_layer():
    got = to_numpy(positional_encoding(X, scale=False))
    np.testing.assert_allclose(got[0] - X[0], table(6, 5), atol=1e-6)
    x = keras.Input((6, 5))
    model = keras.Model(x, positional_encoding(x, zero_pad=True))
    assert any(isinstance(layer, PositionEncoding) for layer in model.layers)
