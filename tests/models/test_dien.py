"""DIEN's own: its GRUs are trained, its auxiliary loss is in the loss."""

import keras
import numpy as np
import pytest

from kseq.agreement.numbers import seed_weights
from kseq.models import DIEN
from tests.arrays import to_numpy
from tests.layers.checks import assert_close, skip_left_out
from tests.models.examples import (
    BATCH,
    BY_NAME,
    CANDIDATE,
    arrays,
    columns,
    inputs_of,
    predict,
)

CLICKS = np.arange(BATCH) % 2
BOTH = ("hist_", "neg_hist_")


@pytest.mark.parametrize("gru_type", ["AGRU", "AUGRU"])
def test_the_weights_of_attended_grus_move(gru_type):
    """In DeepCTR 0.9.4 they stay as they began."""
    skip_left_out("fit")
    model = BY_NAME["DIEN-AGRU"].make(gru_type=gru_type)
    layer = model.get_layer("gru2")
    assert len(layer.trainable_weights) == 4
    before = [to_numpy(w).copy() for w in layer.get_weights()]
    model.compile(keras.optimizers.SGD(0.5), "binary_crossentropy")
    model.fit(inputs_of(model), CLICKS, verbose=0)
    for old, new in zip(before, layer.get_weights(), strict=True):
        assert np.abs(new - old).max() > 0


@pytest.mark.parametrize("gru_type", ["GRU", "AIGRU", "AUGRU"])
def test_negatives_change_the_loss_and_no_prediction(gru_type):
    options = {"dnn_hidden_units": (4,), "l2_reg_embedding": 0}
    without = DIEN(columns(*BOTH[:1]), CANDIDATE, gru_type, **options)
    model = DIEN(
        columns(*BOTH), CANDIDATE, gru_type, True, alpha=0.5, **options
    )
    seed_weights(model)
    for layer in without.layers:
        if layer.weights:
            # The last column that shares a table names it.
            name = layer.name.replace("emb_hist_", "emb_neg_hist_")
            layer.set_weights(model.get_layer(name).get_weights())
    assert_close(predict(model), predict(without))
    given = arrays()
    zeros = {n: x * 0 for n, x in given.items() if n.startswith("neg_")}
    np.testing.assert_array_equal(predict(model, given | zeros), predict(model))
    if gru_type != "AUGRU":
        return
    skip_left_out("fit")
    given = inputs_of(model)
    given = {n: keras.ops.convert_to_tensor(x) for n, x in given.items()}
    model(given)
    (loss,) = model.losses
    model.compile("adam", "binary_crossentropy")
    total = model.evaluate(given, CLICKS, batch_size=BATCH, verbose=0)
    p = predict(model)[:, 0].astype("float64")
    click = -np.log(np.where(CLICKS == 1, p, 1 - p)).mean()
    np.testing.assert_allclose(total, click + to_numpy(loss), rtol=1e-5)
    model.get_layer("auxiliary_loss").alpha = 1.0
    model(given)
    np.testing.assert_allclose(
        to_numpy(model.losses[0]), 2 * to_numpy(loss), rtol=1e-5
    )


def test_the_paper_s_augru_is_another():
    one, other = (
        BY_NAME["DIEN-AUGRU-negatives"].make(augru_form=form)
        for form in ("deepctr", "paper")
    )
    assert np.abs(predict(one) - predict(other)).max() > 1e-4
