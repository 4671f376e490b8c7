import keras
import numpy as np
import pytest

from kseq.agreement.numbers import seed_weights
from kseq.layers.sequence import BiasEncoding
from tests.arrays import to_numpy
from tests.layers.catalog import draw32
from tests.layers.checks import skip_left_out

LONG, SHORT = draw32("long", 2, 5, 3), draw32("short", 2, 4, 3)


def built(count, *sessions, **options):
    layer = BiasEncoding(count, **options)
    layer.build([x.shape for x in sessions])
    seed_weights(layer)
    return layer


def test_a_shorter_session_uses_the_table_s_beginning():
    layer = built(2, SHORT, LONG)
    short, long = map(to_numpy, layer([SHORT, LONG]))
    assert short.shape == SHORT.shape
    first, second, third = (to_numpy(w.value) for w in layer.weights)
    np.testing.assert_allclose(
        short, SHORT + first[0] + second[:, :4] + third, atol=1e-6
    )
    np.testing.assert_allclose(
        long, LONG + first[1] + second + third, atol=1e-6
    )


def test_one_session_may_stand_alone():
    layer = built(1, LONG)
    (in_a_list,) = layer([LONG])
    (alone,) = layer(LONG)
    np.testing.assert_array_equal(to_numpy(in_a_list), to_numpy(alone))
    assert to_numpy(alone).shape == LONG.shape  # DeepCTR loses the batch


def test_each_session_s_mask_goes_on():
    tokens = [keras.Input((None,), dtype="int32") for _ in range(2)]
    embed = keras.layers.Embedding(9, 3, mask_zero=True)
    outputs = BiasEncoding(2, max_steps=5)([embed(t) for t in tokens])
    pool = keras.layers.GlobalAveragePooling1D()
    model = keras.Model(tokens, [pool(y) for y in outputs])
    seed_weights(model)
    short = model([np.array([[1, 2]]), np.array([[3, 4, 5]])])
    padded = model([np.array([[1, 2, 0, 0]]), np.array([[3, 4, 5, 0, 0]])])
    for got, expected in zip(padded, short, strict=True):
        np.testing.assert_allclose(to_numpy(got), to_numpy(expected), atol=1e-6)


@pytest.mark.parametrize("jit_compile", ["auto", True])
def test_trains_with_another_number_of_steps_each_batch(jit_compile):
    skip_left_out("fit")
    if jit_compile is True and keras.backend.backend() == "torch":
        pytest.skip("Keras compiles by inductor, which needs a C++ compiler")
    symbols = [keras.Input((None, 3)) for _ in range(2)]
    model = keras.Model(symbols, BiasEncoding(2, max_steps=5)(symbols))
    seed_weights(model)
    model.compile("sgd", ["mse", "mse"], jit_compile=jit_compile)
    for sessions in ([LONG, SHORT], [SHORT, SHORT[:, :1]]):
        before = [to_numpy(w.value) for w in model.weights]
        loss = model.train_on_batch(sessions, [x * 2 for x in sessions])
        assert np.all(np.isfinite(loss))
        for weight, old in zip(model.weights, before, strict=True):
            assert np.any(to_numpy(weight.value) != old)


def test_a_longer_session_is_refused():
    layer = built(1, SHORT[:, :1])
    with pytest.raises(ValueError, match="at most 1 steps"):
        layer(LONG)
    # In a graph, where the steps are not known.
    symbol = keras.Input((None, 3))
    model = keras.Model(symbol, BiasEncoding(1, max_steps=1)(symbol))
    with pytest.raises(Exception, match=r"at most 1 steps|reshape"):
        model.predict(LONG, verbose=0)


def test_comes_back_from_its_config_and_file(tmp_path):
    symbols = [keras.Input((5, 3)), keras.Input((4, 3))]
    model = keras.Model(symbols, BiasEncoding(2)(symbols))
    seed_weights(model)
    expected = model([LONG, SHORT])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for got, want in zip(loaded([LONG, SHORT]), expected, strict=True):
        np.testing.assert_array_equal(to_numpy(got), to_numpy(want))
