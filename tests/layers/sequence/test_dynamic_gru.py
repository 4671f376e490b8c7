import keras
import numpy as np
import pytest

from kseq.agreement.numbers import seed_weights
from kseq.layers.sequence import DynamicGRU
from tests.arrays import to_numpy
from tests.layers.catalog import draw32
from tests.layers.checks import skip_left_out

X, SCORES = draw32("x", 4, 6, 3), np.abs(draw32("scores", 4, 6)) / 4
LENGTHS = np.array([6, 4, 1, 0], "int32")


def built(*arguments, **options):
    layer = DynamicGRU(*arguments, **options)
    layer.build(X.shape)
    seed_weights(layer)
    return layer


def test_a_history_in_pieces_is_the_whole():
    layer = built(5, return_state=True)
    outputs, state = layer([X, LENGTHS])
    first, kept = layer([X[:, :2], np.minimum(LENGTHS, 2)])
    second, kept = layer(
        [X[:, 2:5], np.clip(LENGTHS - 2, 0, 3)], initial_state=kept
    )
    third, kept = layer(
        [X[:, 5:], np.clip(LENGTHS - 5, 0, 1)], initial_state=kept
    )
    pieces = np.concatenate([*map(to_numpy, (first, second, third))], axis=1)
    np.testing.assert_allclose(pieces, to_numpy(outputs), atol=1e-6)
    np.testing.assert_allclose(to_numpy(kept), to_numpy(state), atol=1e-6)


def test_an_empty_history_keeps_the_initial_state():
    layer = built(5, return_state=True)
    start = draw32("h", 4, 5)
    _, state = layer([X, LENGTHS], initial_state=start)
    np.testing.assert_array_equal(to_numpy(state)[3], start[3])
    assert np.any(to_numpy(state)[0] != start[0])


def test_the_last_output_is_the_state():
    sequence = built(5)
    last = built(5, return_sequence=False)
    outputs = to_numpy(sequence([X, LENGTHS]))
    got = to_numpy(last([X, LENGTHS]))
    assert got.shape == (4, 1, 5)
    for row, length in enumerate(LENGTHS):
        expected = outputs[row, length - 1] if length else np.zeros(5)
        np.testing.assert_array_equal(got[row, 0], expected)


def test_attention_of_one_is_a_new_state_and_of_zero_a_gru():
    gru, augru = built(5), built(5, "AUGRU")
    zero = to_numpy(augru([X, LENGTHS, np.zeros_like(SCORES)]))
    np.testing.assert_allclose(zero, to_numpy(gru([X, LENGTHS])), atol=1e-6)
    # In the paper's form 0 leaves the state as it is.
    paper = built(5, "AUGRU", augru_form="paper")
    frozen = to_numpy(paper([X, LENGTHS, np.zeros_like(SCORES)]))
    assert np.all(frozen == 0)
    one = np.ones_like(SCORES)
    agru = built(5, "AGRU")
    np.testing.assert_allclose(
        to_numpy(augru([X, LENGTHS, one])),
        to_numpy(agru([X, LENGTHS, one])),
        atol=1e-6,
    )


def test_a_mask_beside_an_initial_state_is_not_lost():
    tokens = keras.Input((None,), dtype="int32")
    start = keras.Input((5,))
    embedded = keras.layers.Embedding(9, 3, mask_zero=True)(tokens)
    outputs, state = DynamicGRU(5, return_state=True)(
        embedded, initial_state=start
    )
    model = keras.Model([tokens, start], [outputs, state])
    seed_weights(model)
    zeros = np.zeros((1, 5), "float32")
    short = model([np.array([[3, 4]]), zeros])
    padded = model([np.array([[3, 4, 0, 0]]), zeros])
    np.testing.assert_allclose(
        to_numpy(padded[1]), to_numpy(short[1]), atol=1e-6
    )
    assert np.all(to_numpy(padded[0])[:, 2:] == 0)


@pytest.mark.parametrize("gru_type", ["AGRU", "AUGRU"])
def test_every_weight_is_trained(gru_type):
    """In DeepCTR 0.9.4 none of them is."""
    skip_left_out("fit")
    x, scores = keras.Input((None, 3)), keras.Input((None,))
    lengths = keras.Input((), dtype="int32")
    layer = DynamicGRU(5, gru_type)
    model = keras.Model([x, lengths, scores], layer([x, lengths, scores]))
    before = [to_numpy(w.value).copy() for w in layer.weights]
    model.compile(keras.optimizers.SGD(0.5), "mse")
    target = np.ones((4, 6, 5), "float32")
    model.fit([X, LENGTHS, SCORES], target, epochs=3, verbose=0)
    assert len(before) == 4
    for old, weight in zip(before, layer.trainable_weights, strict=True):
        assert np.any(to_numpy(weight.value) != old), weight.path
