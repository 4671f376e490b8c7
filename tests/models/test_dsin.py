"""DSIN's own: what it leaves out, and what padding does in it."""

import numpy as np
import pytest

from kseq.agreement.numbers import seed_weights
from kseq.models import DSIN
from tests.arrays import to_numpy
from tests.models.examples import (
    BY_NAME,
    CANDIDATE,
    ONE_OF_EACH,
    SESSIONS,
    SIZES,
    arrays,
    over_time,
    predict,
    session_columns,
    tags,
)


def sessions(options, *more):
    model = DSIN(
        [*session_columns(), *more],
        CANDIDATE,
        SESSIONS,
        dnn_hidden_units=(4,),
        **options,
    )
    seed_weights(model)
    return model


@pytest.mark.parametrize("bias_encoding", [False, True])
@pytest.mark.parametrize("mask_padding", [False, True])
def test_padding_counts_unless_it_is_masked(bias_encoding, mask_padding):
    model = sessions(
        {"bias_encoding": bias_encoding, "mask_padding": mask_padding}
    )
    before = predict(model)
    for weight in model.weights:
        if weight.path == "sparse_emb_1-item/embeddings":
            table = to_numpy(weight.value).copy()
            table[0] += 1.0
            weight.assign(table)
    moved = np.abs(predict(model) - before)[:, 0]
    # The first user has sessions of 4 and 2 steps, the last none at all.
    if mask_padding:
        np.testing.assert_array_equal(moved, 0.0)
    else:
        assert moved[0] > 1e-4


@pytest.mark.parametrize("mask_padding", [False, True])
def test_sessions_that_are_not_there(mask_padding):
    """Those beyond `sess_length` reach the backward LSTM, or do not."""
    model = sessions({"mask_padding": mask_padding})
    given = arrays()
    one = given | {"sess_length": np.full_like(given["sess_length"], 1)}
    other = dict(one)
    key = f"sess_{SESSIONS - 1}_item"
    other[key] = np.where(one[key] > 0, SIZES["item"] - one[key], 0)
    moved = np.abs(predict(model, one) - predict(model, other)).max()
    assert moved == 0.0 if mask_padding else moved > 1e-5


def test_other_sequences_are_left_out_aloud():
    with pytest.warns(UserWarning, match=r"leaves out \['tags'\]"):
        model = sessions({}, tags())
    assert len(model.inputs) == len(sessions({}).inputs)


def test_other_sequences_can_be_pooled():
    model = sessions({"pool_others": True}, tags())
    given = arrays()
    changed = given | {"tags": given["tags"][::-1]}
    assert np.abs(predict(model, changed) - predict(model)).max() > 1e-4


def test_the_number_of_sessions_is_an_input():
    model = BY_NAME["DSIN"].make()
    assert model.inputs[-1].name == "sess_length"
    assert model.inputs[-1].dtype == "int32"


@pytest.mark.parametrize("bias_encoding", [False, True])
def test_one_session_is_a_model_too(bias_encoding):
    model = DSIN(
        [*ONE_OF_EACH, *over_time("sess_0_", 4)],
        *(CANDIDATE, 1, bias_encoding),
        dnn_hidden_units=(4,),
    )
    seed_weights(model)
    given = arrays()
    clicks = predict(model, given)
    assert np.all(np.isfinite(clicks))
    moved = given | {"sess_0_item": given["sess_0_item"][::-1]}
    assert np.abs(predict(model, moved) - clicks).max() > 1e-4


def test_the_number_of_sessions_may_be_a_column_s_lengths():
    counted = tags(length_name="sess_length")
    model = sessions({"pool_others": True}, counted)
    named = [x.name for x in model.inputs]
    assert named.count("sess_length") == 1
    assert np.all(np.isfinite(predict(model)))


def test_the_lstm_drops_what_it_is_told():
    assert BY_NAME["DSIN"].make().get_layer("bi_lstm").dropout_rate == 0.2
    model = BY_NAME["DSIN"].make(lstm_dropout=0)
    assert model.get_layer("bi_lstm").dropout_rate == 0


@pytest.mark.parametrize("bias_encoding", [False, True])
@pytest.mark.parametrize("longer", range(SESSIONS))
def test_sessions_have_equal_steps(bias_encoding, longer):
    given = [*ONE_OF_EACH]
    for i in range(SESSIONS):
        given += over_time(f"sess_{i}_", 5 if i == longer else 4)
    with pytest.raises(ValueError, match="maxlen: expected one") as error:
        DSIN(given, CANDIDATE, SESSIONS, bias_encoding)
    assert f"'sess_{longer}_item': 5" in str(error.value)
