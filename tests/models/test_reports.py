"""Reports of users of other libraries: see docs/reliability/reports.md."""

import keras
import numpy as np
import pytest
from keras import ops

from kseq.agreement import seed_weights
from kseq.agreement.computation import dtype_scope
from kseq.feature_column import SparseFeat, VarLenSparseFeat
from kseq.models import DIN
from tests.arrays import to_numpy
from tests.layers.checks import assert_close, skip_left_out
from tests.models.examples import (
    BY_NAME,
    CLICKS,
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


def histories():
    return {n: x for n, x in arrays().items() if "hist_" in n}


@pytest.mark.once
def test_auxiliary_loss_excludes_padding_and_is_saved(tmp_path):
    skip_left_out("fit")
    model = NEGATIVES.make()
    model.save(tmp_path / "model.keras")
    expected = compiled(model).evaluate(inputs_of(model), CLICKS, verbose=0)
    other = {n: np.where(x == 0, 3, x) for n, x in histories().items()}
    loaded = compiled(keras.saving.load_model(tmp_path / "model.keras"))
    for m, changed in ((model, other), (loaded, {})):
        x = inputs_of(m, arrays() | changed)
        got = m.evaluate(x, CLICKS, verbose=0)
        assert got == pytest.approx(expected, rel=1e-6)


def din(size=12, dtype="int32"):
    item, hist = (
        SparseFeat(name, size, 2, dtype=dtype, embedding_name="item")
        for name in ("item", "hist_item")
    )
    options = {"dnn_hidden_units": (3,), "dnn_activation": "tanh"}
    model = DIN([item, VarLenSparseFeat(hist, 4)], ["item"], **options)
    seed_weights(model)
    return model


# JAX truncates them to 32 bits.
@pytest.mark.filterwarnings("ignore:Explicitly requested dtype")
def test_ids_of_every_dtype():
    expected = predict(din())
    for dtype in ("uint16", "int64", "float32"):
        given = {n: x.astype(dtype) for n, x in arrays().items()}
        assert_close(predict(din(dtype=dtype), given), expected, name=dtype)


# Dice overflows on NumPy.
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.once
def test_large_ids_in_half_precision():
    """Float16 does not hold all of them."""
    ids = np.arange(4090, 4095)
    with dtype_scope("mixed_float16"):
        model = din(5000)
    table = model.get_layer("sparse_seq_emb_hist_item")
    table.embeddings.assign(np.arange(10_000).reshape(5000, 2) % 1000)
    looked_up = keras.Model(model.inputs, [table.output, model.output])
    x = {"item": ops.array(ids), "hist_item": ops.array(IDS)}
    got = to_numpy(looked_up(x)[0])
    assert got[:, 0, 0].tolist() == (2 * ids % 1000).tolist()
