import keras
import numpy as np
import pytest

from kseq.models import attention_weights
from tests.models.examples import BY_NAME, LENGTHS, STEPS, arrays, predict

pytestmark = pytest.mark.once

LAYER = "attention_sequence_pooling_layer"


def own_loss(y, p):
    return keras.ops.mean(keras.ops.square(y - p))


@pytest.mark.parametrize("name", ["DIN", "DIEN-AUGRU-negatives", "BST"])
def test_weights_of_a_trained_model(name):
    model = BY_NAME[name].make()
    # Keras could not compile a copy with this loss.
    model.compile("adam", own_loss)
    before = predict(model)
    (weights,) = attention_weights(model, arrays()).values()
    assert weights.shape == (len(LENGTHS), 1, STEPS)
    padded = np.arange(STEPS) >= LENGTHS[:, None]
    assert np.all(weights[:, 0][padded] == 0)
    assert np.all(weights[:, 0][~padded] != 0)
    if name != "DIN":  # normalized
        total = weights.sum(axis=-1)[:, 0]
        np.testing.assert_allclose(total, LENGTHS > 0, rtol=1e-5)
    np.testing.assert_array_equal(predict(model), before)


def test_the_weights_pool_the_history():
    model = BY_NAME["DIN"].make()
    layer = model.get_layer(LAYER)
    weights = attention_weights(model, arrays())[LAYER]
    # All inputs are connected to the output, as Keras 3.12 requires.
    tensors = keras.Model(
        model.inputs, [*layer.input, layer.output, model.output]
    )
    features = {x.name: arrays()[x.name] for x in model.inputs}
    _, keys, valid, pooled, _ = (
        keras.ops.convert_to_numpy(x) for x in tensors(features)
    )
    np.testing.assert_allclose(
        weights @ (keys * valid[..., None]), pooled, rtol=1e-4, atol=1e-6
    )
