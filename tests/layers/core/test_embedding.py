"""Tables: the penalty and the gradient of the layer, and of models."""

import keras
import numpy as np
import pytest
from keras import ops

from kseq.agreement.computation import dtype_scope
from kseq.layers import Embedding
from tests.models.examples import BY_NAME, inputs_of
from tests.support import once, skip_left_out, to_numpy

IDS = np.array([[3, 1, 3], [0, 0, 0], [5, 3, -1]])
VALID = np.abs(IDS)
L2 = keras.regularizers.L2(0.5)


def total(losses):
    return sum(float(to_numpy(loss)) for loss in losses)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_rows_and_weights_are_those_of_keras(sparse, training):
    plain = keras.layers.Embedding(6, 2, mask_zero=True)
    expected = plain(IDS)
    layer = Embedding(6, 2, mask_zero=True, sparse=sparse)
    layer.build()
    layer.set_weights(plain.get_weights())
    assert [w.name for w in layer.weights] == [w.name for w in plain.weights]
    np.testing.assert_array_equal(
        to_numpy(layer(IDS, training=training)), to_numpy(expected)
    )
    np.testing.assert_array_equal(
        to_numpy(layer.compute_mask(IDS)), to_numpy(plain.compute_mask(IDS))
    )
    again = Embedding.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize("regularizer", ["l1", "l2"])
@pytest.mark.parametrize("dtype", [once("float64"), "mixed_float16"])
def test_penalty_is_on_distinct_rows_in_training_only(regularizer, dtype):
    with dtype_scope(dtype):
        layer = Embedding(6, 2, "normal", keras.regularizers.get(regularizer))
        layer(VALID)
        assert layer.losses == []
        layer(VALID, training=True)
        (loss,) = layer.losses
    (table,) = layer.get_weights()
    rows = table[[0, 1, 3, 5]]
    rows = np.abs(rows) if regularizer == "l1" else np.square(rows)
    np.testing.assert_allclose(to_numpy(loss), 0.01 * rows.sum(), rtol=1e-6)


@pytest.mark.once
@pytest.mark.parametrize("name", ["DIN", "DIEN-AUGRU-negatives", "DSIN"])
def test_models_penalise_a_row_once_in_a_step(name):
    """Candidate and history share a table."""
    example = BY_NAME[name]
    model = example.make(l2_reg_embedding=0.5)
    inputs = inputs_of(model)
    model(inputs, training=True)
    found = total(model.losses)
    model = example.make(l2_reg_embedding=0)
    model(inputs, training=True)
    expected = 0.0
    for layer in model.layers:
        if isinstance(layer, Embedding):
            end = layer.name.rpartition("_")[2].rpartition("-")[2]
            read = [x for n, x in inputs.items() if n.endswith(end)]
            rows = np.unique(np.concatenate([np.ravel(x) for x in read]))
            expected += np.square(layer.get_weights()[0][rows]).sum()
    assert expected > 0
    others = total(model.losses)
    np.testing.assert_allclose(found - others, 0.5 * expected, rtol=1e-5)


@pytest.mark.once
def test_models_take_another_layer():
    """With Keras's layer the penalty is that of DeepCTR."""
    example = BY_NAME["DIN"]
    model = example.make(
        l2_reg_embedding=0.5, embedding_layer=keras.layers.Embedding
    )
    tables = [w for w in model.weights if w.path.endswith("embeddings")]
    expected = sum(np.square(to_numpy(w.value)).sum() for w in tables)
    np.testing.assert_allclose(total(model.losses), 0.5 * expected, rtol=1e-5)
    with pytest.raises(ValueError, match="embedding_layer: expected"):
        example.make(embedding_layer="keras")


class Twin(keras.layers.Embedding):
    """Keras's layer with the penalty written in another way."""

    def call(self, inputs, training=None):
        if training:
            ids = ops.cast(inputs, "int32")
            counts = ops.sum(ops.one_hot(ids, self.input_dim), axis=(0, 1))
            looked_up = ops.expand_dims(counts > 0, 1)
            rows = ops.where(
                looked_up, ops.convert_to_tensor(self.embeddings), 0
            )
            self.add_loss(0.5 * ops.sum(ops.square(rows)))
        return super().call(inputs)


@pytest.mark.parametrize("optimizer", [once("sgd"), "adam"])
def test_dense_training_is_that_of_keras(optimizer):
    """Also with ids that repeat, which Keras's Adam gets wrong for rows."""
    skip_left_out("fit")
    ids, y = VALID, np.ones((3, 1))
    found = []
    with dtype_scope("float64"):
        for layer in (Embedding(6, 2, "ones", L2), Twin(6, 2, "ones")):
            model = keras.Sequential(
                [
                    layer,
                    keras.layers.Flatten(),
                    keras.layers.Dense(1, kernel_initializer="ones"),
                ]
            )
            model.compile(optimizer, "mse")
            for _ in range(3):
                model.train_on_batch(ids, y)
            found.append(model.layers[0].get_weights()[0])
    np.testing.assert_allclose(*found, rtol=1e-9)
    assert np.all(found[0][[2, 4]] == 1)
