import keras
import numpy as np
import pytest

from kseq.agreement.numbers import seed_weights
from kseq.layers.sequence import BiLSTM
from tests.arrays import to_numpy
from tests.layers.catalog import draw32
from tests.layers.checks import assert_close
from tests.ops.compute import needs_gradients

X = draw32("x", 4, 6, 3)
LENGTHS = np.array([6, 4, 1, 0], "int32")


def built(*arguments, **options):
    layer = BiLSTM(*arguments, **{"dropout_rate": 0.0, **options})
    layer.build(X.shape)
    seed_weights(layer)
    return layer


@pytest.mark.parametrize("reverse", [False, True])
def test_each_way_is_keras_s_lstm(reverse):
    layer = built(2, layers=1, merge_mode="bw" if reverse else "fw")
    lstm = keras.layers.LSTM(
        2, return_sequences=True, go_backwards=reverse, use_cudnn=False
    )
    lstm.build(X.shape)
    own = layer.weights[3:] if reverse else layer.weights[:3]
    lstm.set_weights([to_numpy(w.value) for w in own])
    expected = to_numpy(lstm(X))
    if reverse:
        expected = expected[:, ::-1]
    np.testing.assert_allclose(to_numpy(layer(X)), expected, atol=1e-6)


def test_the_backward_way_begins_at_the_last_step_that_counts():
    layer = built(2, merge_mode="bw")
    whole = to_numpy(layer([X, LENGTHS]))
    cut = to_numpy(layer(X[1:2, :4]))
    np.testing.assert_allclose(whole[1:2, :4], cut, atol=1e-6)


def test_without_lengths_and_mask_every_step_counts():
    layer = built(2)
    full = np.full(4, 6, "int32")
    assert_close(to_numpy(layer(X)), to_numpy(layer([X, full])))


@pytest.mark.parametrize(
    ("merge_mode", "merge"),
    [
        ("sum", lambda f, b: f + b),
        ("mul", lambda f, b: f * b),
        ("ave", lambda f, b: (f + b) / 2),
        ("concat", lambda f, b: np.concatenate([f, b], axis=-1)),
    ],
)
def test_the_ways_are_merged(merge_mode, merge):
    f, b = map(to_numpy, built(2, merge_mode=None)([X, LENGTHS]))
    got = to_numpy(built(2, merge_mode=merge_mode)([X, LENGTHS]))
    np.testing.assert_allclose(got, merge(f, b), rtol=1e-6, atol=1e-7)


def test_both_outputs_of_none_have_the_mask():
    tokens = keras.Input((None,), dtype="int32")
    embedded = keras.layers.Embedding(9, 3, mask_zero=True)(tokens)
    outputs = BiLSTM(2, merge_mode=None)(embedded)
    assert [y.shape for y in outputs] == [(None, None, 2)] * 2
    for output in outputs:
        assert output._keras_mask is not None


def test_dropout_is_the_same_at_all_steps_and_keeps_the_mean():
    layer = BiLSTM(2, layers=1, dropout_rate=0.25)
    layer.build(X.shape)
    ones = np.ones((400, 6, 10), "float32")
    dropped = to_numpy(layer.dropouts[0](ones, training=True))
    assert np.all(dropped == dropped[:, :1])
    assert abs(np.mean(dropped == 0) - 0.25) < 0.03
    assert abs(dropped.mean() - 1) < 0.05


def test_equal_seeds_give_equal_results():
    def trained(seed):
        layer = BiLSTM(2, dropout_rate=0.5, seed=seed)
        return to_numpy(layer(X, training=True))

    np.testing.assert_array_equal(trained(3), trained(3))
    assert np.any(trained(3) != trained(4))


def test_starts_in_half_precision():
    layer = BiLSTM(2, dtype="float16")
    layer.build(X.shape)
    for weight in layer.weights:
        assert np.all(np.isfinite(to_numpy(weight.value).astype("float32")))


@needs_gradients
def test_a_wide_one_can_be_trained_again():
    # TensorFlow sums a wide state's gradients in a variable, of which a sum
    # that takes the next step's as it is leaves one behind.
    x = keras.Input((4, 3))
    model = keras.Model(x, BiLSTM(1024, layers=1, dropout_rate=0.0)(x))
    model.compile("sgd", "mse", jit_compile=False)
    target = np.zeros((2, 4, 1024), "float32")
    losses = [
        model.train_on_batch(draw32("x", 2, 4, 3), target) for _ in range(3)
    ]
    assert losses == sorted(losses, reverse=True)
