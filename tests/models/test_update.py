"""update_model: a user's state after new events."""

import keras
import numpy as np
import pytest

from kseq.feature_column import SparseFeat, VarLenSparseFeat
from kseq.models import DIEN, split_model, update_model
from tests.models.examples import (
    BATCH,
    BY_NAME,
    CANDIDATE,
    LENGTHS,
    arrays,
    inputs_of,
    predict,
)
from tests.support import assert_close, once, to_numpy

ADDED = np.array([2, 1, 0, 2, 0])
EVENTS = {
    f"hist_{name}": np.where(np.arange(2) < ADDED[:, None], ids, 0)
    for name, ids in zip(CANDIDATE, ([[7, 3]], [[2, 4]]), strict=True)
} | {"seq_length": ADDED[:, None]}


def whole_history(size):
    """The histories with the events, of the last `size` steps."""
    features, histories = arrays(), {}
    for name in ("hist_item", "hist_cate"):
        ids = np.zeros((BATCH, size), int)
        for i, row in enumerate(ids):
            old, new = features[name][i], EVENTS[name][i]
            both = [*old[: LENGTHS[i]], *new[: ADDED[i]]][-size:]
            row[: len(both)] = both
        histories[name] = ids
    return histories | {"seq_length": np.minimum(LENGTHS + ADDED, size)}


def call(part, features):
    return {n: to_numpy(x) for n, x in part(features).items()}


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        *(once("DIN", None), once("DIN", 4), ("DIEN-AGRU", None)),
        *(once("DIEN-AIGRU", 6), once("DIEN-AUGRU-negatives", 6)),
    ],
)
def test_equals_the_state_of_the_whole_history(name, steps, tmp_path):
    """Drops the oldest steps of a DIN of four steps."""
    model = BY_NAME[name].make(steps)
    user, candidates = split_model(model)
    path = tmp_path / "update.keras"
    update_model(model).save(path)
    update = keras.saving.load_model(path)

    features = arrays(steps or 4)
    state = call(user, inputs_of(user, features))
    state |= call(update, inputs_of(update, state | EVENTS))
    whole = features | whole_history(steps or 6)
    expected = call(user, inputs_of(user, whole))
    valid = "valid" if name == "DIN" else "lengths"
    np.testing.assert_array_equal(
        state[valid], expected[valid].reshape(state[valid].shape)
    )
    ids = {n: features[n][:, None] for n in CANDIDATE}
    got, wanted = (predict(candidates, x | ids) for x in (state, expected))
    assert np.ptp(wanted) > 1e-6
    assert_close(got, wanted)


@pytest.mark.parametrize("name", ["DIN", "DIEN-AGRU"])
def test_no_history_and_no_event(name):
    """A new user's state and events have no steps."""
    model = BY_NAME[name].make(None)
    user, update = split_model(model)[0], update_model(model)

    def first(number):
        ids = {n: x[:, :number] for n, x in arrays().items() if "hist_" in n}
        lengths = np.minimum(LENGTHS, number)[:, None]
        return arrays() | ids | {"seq_length": lengths}

    none, two = first(0), first(2)
    empty = call(user, inputs_of(user, none))
    got = empty | call(update, inputs_of(update, empty | two))
    expected = call(user, inputs_of(user, two))
    unchanged = expected | call(update, inputs_of(update, expected | none))
    valid = np.arange(2) < LENGTHS[:, None]
    for n, x in expected.items():
        for y in (got[n], unchanged[n]):
            if x.ndim == 3:  # by steps
                assert_close(*(z * valid[..., None] for z in (y, x)))
            else:
                np.testing.assert_array_equal(y, x.reshape(y.shape))


@pytest.mark.once
def test_inputs_named_as_the_state_raise():
    item, clicks = (
        SparseFeat(name, 9, 4, embedding_name="item")
        for name in ("item", "hist_item")
    )
    clicks = VarLenSparseFeat(clicks, 4, length_name="lengths")
    model = DIEN([item, clicks], ["item"], "AUGRU")
    with pytest.raises(ValueError, match=r"inputs not named .*\['lengths'\]"):
        update_model(model)


@pytest.mark.once
@pytest.mark.parametrize("name", ["BST", "DIEN-GRU", "DSIN"])
def test_other_models_raise(name):
    with pytest.raises(ValueError, match=r"^model: expected a DIN, or a DIEN"):
        update_model(BY_NAME[name].make())
