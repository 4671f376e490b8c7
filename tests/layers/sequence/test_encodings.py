"""PositionEncoding, and BiasEncoding of sessions."""

import keras
import numpy as np
import pytest

from kseq.agreement.numbers import seed_weights
from kseq.layers.sequence import BiasEncoding, PositionEncoding
from tests.layers.catalog import BY_NAME, draw32
from tests.support import to_numpy

pytestmark = pytest.mark.once

X = draw32("x", 4, 6, 3)
LONG, SHORT = BY_NAME["bias-encoding"].trial().features.values()


def test_a_trained_table_takes_at_most_its_steps():
    layer = PositionEncoding()
    first = to_numpy(layer(X[:, :4]))
    with pytest.raises(ValueError, match=r"at most 4 steps.*6"):
        layer(X)
    shorter = to_numpy(layer(X[:, :3]))
    np.testing.assert_array_equal(shorter, first[:, :3])


@pytest.mark.parametrize("cls", [PositionEncoding, BiasEncoding])
def test_too_many_steps_of_a_compiled_model(cls):
    options = {"sess_max_count": 1} if cls is BiasEncoding else {}
    x = keras.Input((None, 3))
    model = keras.Model(x, cls(**options, max_steps=4)(x))
    model.predict(X[:, :1], verbose=0)
    # TensorFlow knows the steps only in its graph, and has its own errors.
    with pytest.raises(Exception, match=r"at most 4 steps|Slice|reshape"):
        model.predict(X, verbose=0)


def test_a_shorter_first_session():
    layer = BiasEncoding(2)
    layer.build([SHORT.shape, LONG.shape])
    seed_weights(layer)
    short, long = map(to_numpy, layer([SHORT, LONG]))
    session, step, feature = (to_numpy(w.value) for w in layer.weights)
    expected = SHORT + session[0] + step[:, :4] + feature
    np.testing.assert_allclose(short, expected, atol=1e-6)
    expected = LONG + session[1] + step + feature
    np.testing.assert_allclose(long, expected, atol=1e-6)
