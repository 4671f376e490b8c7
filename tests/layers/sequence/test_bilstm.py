import keras
import numpy as np
import pytest

from tests.layers.catalog import BY_NAME, draw32
from tests.support import to_numpy

TRIAL = BY_NAME["bilstm-ave"].trial()


def test_dropout_is_the_same_at_all_steps_and_keeps_the_mean():
    layer = TRIAL.built(dropout_rate=0.25)
    ones = np.ones((400, 6, 10), "float32")
    dropped = to_numpy(layer.dropouts[0](ones, training=True))
    assert np.all(dropped == dropped[:, :1])
    assert abs(np.mean(dropped == 0) - 0.25) < 0.03
    assert abs(dropped.mean() - 1) < 0.05


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="of TensorFlow's gradients"
)
def test_many_units_can_be_trained_again():
    # TensorFlow sums a wide state's gradients in a variable, which a sum that
    # takes the next step's gradient unchanged would leave behind.
    x = keras.Input((4, 3))
    model = keras.Model(x, TRIAL.make(units=1024)(x))
    model.compile("sgd", "mse", jit_compile=False)
    target = np.zeros((2, 4, 1024), "float32")
    losses = [
        model.train_on_batch(draw32("x", 2, 4, 3), target) for _ in range(3)
    ]
    assert losses == sorted(losses, reverse=True)
