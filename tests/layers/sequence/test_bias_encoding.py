import keras
import numpy as np
import pytest

from kseq.agreement.numbers import seed_weights
from kseq.layers.sequence import BiasEncoding
from tests.arrays import to_numpy
from tests.layers.catalog import BY_NAME

LONG, SHORT = BY_NAME["bias-encoding"].trial().features.values()


def built(count, *sessions, **options):
    layer = BiasEncoding(count, **options)
    layer.build([x.shape for x in sessions])
    seed_weights(layer)
    return layer


def test_a_shorter_first_session():
    layer = built(2, SHORT, LONG)
    short, long = map(to_numpy, layer([SHORT, LONG]))
    session, step, feature = (to_numpy(w.value) for w in layer.weights)
    expected = SHORT + session[0] + step[:, :4] + feature
    np.testing.assert_allclose(short, expected, atol=1e-6)
    expected = LONG + session[1] + step + feature
    np.testing.assert_allclose(long, expected, atol=1e-6)


def test_a_single_session_needs_no_list():
    layer = built(1, LONG)
    (in_a_list,), (alone,) = layer([LONG]), layer(LONG)
    np.testing.assert_array_equal(to_numpy(in_a_list), to_numpy(alone))
    assert to_numpy(alone).shape == LONG.shape  # DeepCTR loses the batch


def test_the_mask_of_each_session_is_propagated():
    tokens = [keras.Input((None,), dtype="int32") for _ in range(2)]
    embed = keras.layers.Embedding(9, 3, mask_zero=True)
    embedded = [embed(t) for t in tokens]
    outputs = BiasEncoding(2, max_steps=5)(embedded)
    for one, other in zip(embedded, outputs, strict=True):
        assert other._keras_mask is one._keras_mask


def test_a_session_of_too_many_steps():
    layer = built(1, SHORT[:, :1])
    with pytest.raises(ValueError, match="at most 1 steps"):
        layer(LONG)
    # In a graph, where the steps are not known.
    symbol = keras.Input((None, 3))
    model = keras.Model(symbol, BiasEncoding(1, max_steps=1)(symbol))
    with pytest.raises(Exception, match=r"at most 1 steps|reshape"):
        model.predict(LONG, verbose=0)
