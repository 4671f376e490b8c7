"""Reports of users of other libraries: see docs/reliability/reports.md."""

import io

import keras
import numpy as np
import pytest
from keras import ops

from kseq.agreement import seed_weights
from kseq.agreement.measure import dtype_scope
from kseq.feature_column import SparseFeat, VarLenSparseFeat
from kseq.layers import AttentionSequencePoolingLayer, DynamicGRU
from kseq.models import DIN
from tests.arrays import to_numpy
from tests.layers.checks import assert_close, skip_left_out
from tests.models.examples import (
    BATCH,
    BY_NAME,
    CLICKS,
    HISTORY_PREFIXES,
    LENGTHS,
    STEPS,
    arrays,
    inputs_of,
    predict,
)

NEGATIVES = BY_NAME["DIEN-AUGRU-negatives"]
IDS = arrays()["hist_item"]


def compiled(model):
    # Tracing would take most of the time.
    model.compile("adam", "binary_crossentropy", run_eagerly=True)
    return model


WRONG = [
    ({"hist_item": np.ones((BATCH, STEPS, 3))}, r"hist_item: .*\(5, 4, 3\)"),
    ({"item": np.ones((BATCH, 2, 1))}, r"item: .*\(None, 1\).*\(5, 2, 1\)"),
    ({"price": np.ones(BATCH)}, r"price: expected shape \(None, 2\)"),
    ({"user": np.int32(3)}, r"user: .*received shape \(\)"),
    ({"item": np.ones(3)}, "x: expected one number of rows.*'item': 3"),
]


@pytest.mark.parametrize("method", ["predict", "evaluate", "fit"])
def test_wrong_axes_and_rows_raise_and_keep_the_weights(method):
    """On JAX an error within `predict` would delete the weights."""
    model = BY_NAME["DIN"].make()
    targets = {}
    if method != "predict":
        skip_left_out("fit")
        targets = {"y": CLICKS}
        model.compile("sgd", "binary_crossentropy")
    expected = predict(model)
    for wrong, message in WRONG:
        x = inputs_of(model) | wrong
        with pytest.raises(ValueError, match=f"^{message}"):
            getattr(model, method)(x, **targets, verbose=0)
    np.testing.assert_array_equal(predict(model), expected)


@pytest.mark.parametrize("steps", [1, STEPS])
def test_histories_of_one_step_train_with_negatives(steps):
    skip_left_out("fit")
    features = {
        name: x[:, :steps] if name.startswith(HISTORY_PREFIXES) else x
        for name, x in arrays().items()
    }
    features["seq_length"] = np.minimum(LENGTHS, 1)
    model = compiled(NEGATIVES.make(steps))
    model.fit(inputs_of(model, features), CLICKS, verbose=0)
    for weight in model.weights:
        assert np.isfinite(to_numpy(weight.value)).all(), weight.path


def test_auxiliary_loss_excludes_padding_and_is_saved(tmp_path):
    skip_left_out("fit")
    model = compiled(NEGATIVES.make())
    expected = model.evaluate(inputs_of(model), CLICKS, verbose=0)
    padding = np.arange(STEPS) >= LENGTHS[:, None]
    other = {
        name: np.where(padding, 3, arrays()[name])
        for name in arrays()
        if name.startswith(HISTORY_PREFIXES)
    }
    model.save(tmp_path / "model.keras")
    loaded = compiled(keras.saving.load_model(tmp_path / "model.keras"))
    for m, changed in ((model, other), (loaded, {})):
        x = inputs_of(m, arrays() | changed)
        got = m.evaluate(x, CLICKS, verbose=0)
        assert got == pytest.approx(expected, rel=1e-6)


def test_losses_of_repeated_calls_do_not_add_up():
    model = NEGATIVES.make(l2_reg_embedding=0)
    losses = []
    for _ in range(2):
        predict(model)
        (loss,) = model.losses
        losses.append(to_numpy(loss))
    assert_close(*losses)


def din(size=12, dtype="int32"):
    item, hist = (
        SparseFeat(name, size, 2, dtype=dtype, embedding_name="item")
        for name in ("item", "hist_item")
    )
    options = {"dnn_hidden_units": (3,), "dnn_activation": "tanh"}
    model = DIN([item, VarLenSparseFeat(hist, STEPS)], ["item"], **options)
    seed_weights(model)
    return model


def test_ids_of_every_dtype():
    expected = predict(din())
    for dtype in ("int8", "uint16", "int64", "float32", "float64"):
        given = {n: x.astype(dtype) for n, x in arrays().items()}
        assert_close(predict(din(dtype=dtype), given), expected, name=dtype)


def test_large_ids_in_half_precision():
    """Float16 does not hold all of them."""
    ids = np.arange(4090, 4095)
    with dtype_scope("mixed_float16"):
        model = din(5000)
    table = model.get_layer("sparse_seq_emb_hist_item")
    table.embeddings.assign(np.arange(10_000).reshape(5000, 2) % 1000)
    looked_up = keras.Model(model.inputs, [table.output, model.output])
    x = {"item": ids, "hist_item": IDS}
    x = {name: ops.convert_to_tensor(v) for name, v in x.items()}
    got = to_numpy(looked_up(x)[0])
    assert got[:, 0, 0].tolist() == (2 * ids % 1000).tolist()


class Tokens(keras.layers.Layer):
    """A user's layer that computes a mask itself."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.table = keras.layers.Embedding(12, 3)

    def call(self, ids):
        return self.table(ids)

    def compute_mask(self, ids, mask=None):
        return ops.not_equal(ids, 0)


def embed_twice(ids):
    tables = [keras.layers.Embedding(12, 3, mask_zero=True) for _ in "ab"]
    return keras.layers.Concatenate()([table(ids) for table in tables])


def pool_with_attention(x):
    return AttentionSequencePoolingLayer()(x[:, :1], x)


def last_state(x):
    return DynamicGRU(3, return_sequence=False)(x)


@pytest.mark.parametrize("read", [pool_with_attention, last_state])
@pytest.mark.parametrize("embed", [Tokens(), embed_twice])
def test_masks_of_users_layers(embed, read):
    ids = keras.Input((None,), dtype="int32")
    model = keras.Model(ids, read(embed(ids)))
    wider = np.pad(IDS, ((0, 0), (0, 3)))
    got, expected = (to_numpy(model(x)) for x in (wider, IDS))
    assert_close(got, expected)


def test_a_model_whose_output_lost_its_mask_raises():
    """Keras's layers would read the padding."""
    ids = keras.Input((None,), dtype="int32")
    embed = keras.Model(ids, keras.layers.Embedding(12, 3, mask_zero=True)(ids))
    with pytest.raises(ValueError, match="expected one of lengths, mask"):
        last_state(embed(ids))


@pytest.mark.once
def test_torch_save():
    torch = pytest.importorskip("torch")
    model, file = BY_NAME["DIN"].make(), io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    np.testing.assert_array_equal(predict(loaded), predict(model))


@pytest.mark.once
def test_frozen_parts_of_a_model_in_a_model(tmp_path):
    model = BY_NAME["DIN"].make()
    model.get_layer("dnn").trainable = False
    outer = keras.Model(model.inputs, model(model.inputs))
    outer.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert not loaded.get_layer("DIN").get_layer("dnn").trainable
    np.testing.assert_array_equal(predict(loaded), predict(model))


@pytest.mark.once
def test_features_that_a_model_does_not_read():
    model = compiled(BY_NAME["DIN"].make())
    x = {**inputs_of(model), "title": np.array(["a", "bc"] * 3), "n": 3.0}
    expected = model.predict(inputs_of(model), verbose=0)
    np.testing.assert_array_equal(model.predict(x, verbose=0), expected)
    model.fit(x, CLICKS, verbose=0)
