"""DIEN's negative samples and DSIN's sessions."""

import numpy as np
import pytest

from kseq.agreement.numbers import seed_weights
from kseq.models import DIEN, DSIN
from tests.arrays import to_numpy
from tests.layers.checks import assert_close, skip_left_out
from tests.models.examples import (
    BY_NAME,
    CANDIDATE,
    CLICKS,
    HISTORY_PREFIXES,
    SESSIONS,
    SIZES,
    USER_AND_CANDIDATE,
    arrays,
    columns,
    predict,
    sequences,
    session_columns,
    tags,
)
from tests.models.test_promises import fill_padding

NEGATIVES = BY_NAME["DIEN-AUGRU-negatives"]


@pytest.mark.parametrize("gru_type", ["GRU", "AIGRU", "AUGRU"])
def test_negatives_change_no_prediction(gru_type):
    without = DIEN(columns("hist_"), CANDIDATE, gru_type)
    model = DIEN(columns(*HISTORY_PREFIXES), CANDIDATE, gru_type, True)
    seed_weights(model)
    for layer in without.layers:
        if layer.weights:
            # A table is named after the last column that shares it.
            name = layer.name.replace("emb_hist_", "emb_neg_hist_")
            layer.set_weights(model.get_layer(name).get_weights())
    expected = predict(model)
    assert_close(expected, predict(without))
    zeros = {n: x * 0 for n, x in arrays().items() if n.startswith("neg_")}
    np.testing.assert_array_equal(predict(model, arrays() | zeros), expected)


def test_auxiliary_loss_is_part_of_the_loss():
    skip_left_out("fit")
    losses = {}
    for alpha in (0.5, 1.0):
        model = NEGATIVES.make(alpha=alpha, l2_reg_embedding=0)
        model.compile("sgd", "binary_crossentropy")
        total = model.evaluate(arrays(), CLICKS, verbose=0)
        p = predict(model)[:, 0].astype("float64")
        click = -np.log(np.where(CLICKS == 1, p, 1 - p)).mean()
        (loss,) = model.losses
        losses[alpha] = float(to_numpy(loss))
        np.testing.assert_allclose(total, click + losses[alpha], rtol=1e-5)
    np.testing.assert_allclose(losses[1.0], 2 * losses[0.5], rtol=1e-5)


@pytest.mark.once
def test_negatives_without_negsampling_are_ignored():
    """As in DeepCTR, they are not pooled either."""
    model = DIEN(columns(*HISTORY_PREFIXES), CANDIDATE)
    without = DIEN(columns("hist_"), CANDIDATE)
    assert "neg_hist_item" not in {x.name for x in model.inputs}
    shapes, expected = ([w.shape for w in m.weights] for m in (model, without))
    assert shapes == expected


def test_augru_forms_differ():
    predictions = [
        predict(NEGATIVES.make(augru_form=form))
        for form in ("deepctr", "paper")
    ]
    assert np.abs(np.diff(predictions, axis=0)).max() > 1e-4


def make_dsin(*more_columns, given=None, sessions=SESSIONS, **options):
    given = [*(given or session_columns()), *more_columns]
    model = DSIN(given, CANDIDATE, sessions, dnn_hidden_units=(4,), **options)
    seed_weights(model)
    return model


def change(model, before, **changed):
    """The largest change of a prediction when inputs change."""
    given = arrays() | before
    return np.abs(predict(model, given | changed) - predict(model, given)).max()


@pytest.mark.parametrize("bias_encoding", [False, True])
@pytest.mark.parametrize("mask_padding", [False, True])
def test_mask_padding_excludes_padded_steps(bias_encoding, mask_padding):
    model = make_dsin(bias_encoding=bias_encoding, mask_padding=mask_padding)
    before = predict(model)
    fill_padding(model, 1.0)
    moved = np.abs(predict(model) - before)[:, 0]
    if mask_padding:
        np.testing.assert_array_equal(moved, 0.0)
    else:
        assert moved[0] > 1e-4  # sessions of 4 and 2 steps


@pytest.mark.parametrize("mask_padding", [False, True])
def test_mask_padding_excludes_padded_sessions(mask_padding):
    """Without it they reach the LSTM's backward direction."""
    model = make_dsin(mask_padding=mask_padding)
    ids = arrays()["sess_1_item"]
    moved = change(
        model,
        {"sess_length": np.full(len(ids), 1)},
        sess_1_item=np.where(ids > 0, SIZES["item"] - ids, 0),
    )
    assert moved == 0.0 if mask_padding else moved > 1e-5


def test_other_sequences_are_ignored_with_a_warning():
    with pytest.warns(UserWarning, match=r"ignores \['tags'\].*pool_others"):
        model = make_dsin(tags())
    assert "tags" not in {x.name for x in model.inputs}
    model = make_dsin(tags(), pool_others=True)
    assert change(model, {}, tags=arrays()["tags"][::-1]) > 1e-4


@pytest.mark.parametrize("bias_encoding", [False, True])
def test_one_session(bias_encoding):
    given = [*USER_AND_CANDIDATE, *sequences("sess_0_")]
    model = make_dsin(given=given, sessions=1, bias_encoding=bias_encoding)
    assert change(model, {}, sess_0_item=arrays()["sess_0_item"][::-1]) > 1e-4


@pytest.mark.once
def test_sess_length_is_an_integer_input():
    own = make_dsin().inputs[-1]
    assert (own.name, own.dtype) == ("sess_length", "int32")
    # A column may have it already.
    model = make_dsin(tags(length_name="sess_length"), pool_others=True)
    assert [x.name for x in model.inputs].count("sess_length") == 1


@pytest.mark.once
def test_lstm_dropout():
    for options, rate in (({}, 0.2), ({"lstm_dropout": 0}, 0.0)):
        assert make_dsin(**options).get_layer("bi_lstm").dropout_rate == rate


@pytest.mark.once
def test_sessions_of_different_maxlen_raise():
    given = [*session_columns()[:-2], *sequences("sess_1_", 5)]
    with pytest.raises(ValueError, match=r"maxlen: expected one .*_1_item': 5"):
        make_dsin(given=given)
