import keras
import numpy as np
import pytest

from kseq.layers.sequence import DynamicGRU
from tests.layers.catalog import BY_NAME, LENGTHS, draw32
from tests.support import to_numpy

BILSTM = BY_NAME["bilstm-ave"].trial()


def test_dropout_is_the_same_at_all_steps_and_keeps_the_mean():
    layer = BILSTM.built(dropout_rate=0.25)
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
    model = keras.Model(x, BILSTM.make(units=1024)(x))
    model.compile("sgd", "mse", jit_compile=False)
    given = draw32("x", 2, 4, 3), np.zeros((2, 4, 1024), "float32")
    losses = [model.train_on_batch(*given) for _ in range(3)]
    assert losses == sorted(losses, reverse=True)


@pytest.mark.once
@pytest.mark.parametrize("gru_type", ["AIGRU", "AGRU", "AUGRU"])
@pytest.mark.parametrize("return_sequence", [True, False])
def test_several_candidates_equal_each_alone(gru_type, return_sequence):
    shapes = {"x": (4, 6, 3), "scores": (4, 5, 6), "start": (4, 2)}
    x, scores, start = (draw32(name, *shape) for name, shape in shapes.items())
    layer = DynamicGRU(2, gru_type, return_sequence, augru_form="paper")
    options = {"lengths": LENGTHS["steps"], "initial_state": start}
    together = to_numpy(layer(x, scores, **options))
    axis = 2 if return_sequence else 1
    for k in range(5):
        alone = to_numpy(layer(x, scores[:, k : k + 1], **options))
        one = np.take(together, [k], axis)
        if return_sequence:
            one = one[:, :, 0]
        np.testing.assert_allclose(one, alone, atol=1e-6)
