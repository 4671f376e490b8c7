"""AUC within groups equals a loop over users, and scikit-learn's."""

import itertools

import keras
import numpy as np
import pytest

from kseq.metrics import GroupAUC, ListAUC, group_auc
from tests.models.test_lists import BY_NAME, COUNT, VALID, inputs_of, lists
from tests.support import assert_close, skip_left_out

DRAW = np.random.default_rng(0)
ROWS = 400
LABELS = DRAW.integers(0, 2, ROWS)
SCORES = DRAW.integers(0, 9, ROWS) / 8  # many ties
USERS = DRAW.integers(0, 60, ROWS)  # some with one label only
WEIGHTS = DRAW.integers(0, 4, ROWS) / 2


def pairs_auc(labels, scores, sample_weight):
    """The share of pairs in the right order, or None without pairs."""
    rows = [*zip(labels, scores, sample_weight, strict=True)]
    won = total = 0.0
    for (y, s, w), (other, t, v) in itertools.product(rows, rows):
        if y == 1 and other == 0:
            total += w * v
            won += w * v * ((s > t) + (s == t) / 2)
    return won / total if total else None


def sklearn_auc(labels, scores, sample_weight):
    roc_auc_score = pytest.importorskip("sklearn.metrics").roc_auc_score
    if len({*labels[sample_weight > 0]}) < 2:
        return None
    return roc_auc_score(labels, scores, sample_weight=sample_weight)


def mean_of_users(auc, labels, scores, users, weights):
    values, sizes = [], []
    for user in np.unique(users):
        of = users == user
        if (value := auc(labels[of], scores[of], weights[of])) is not None:
            values.append(value)
            sizes.append(weights[of].sum())
    return np.average(values, weights=sizes)


@pytest.mark.once
@pytest.mark.parametrize("auc", [pairs_auc, sklearn_auc])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_group_auc_is_the_mean_of_the_users(auc, weights):
    expected = mean_of_users(
        *(auc, LABELS, SCORES, USERS),
        np.ones(ROWS) if weights is None else weights,
    )
    got = group_auc(LABELS[:, None], SCORES, USERS.astype(str), weights)
    assert got == pytest.approx(expected, rel=1e-12)


@pytest.mark.once
def test_group_auc_of_extreme_scores():
    scores = [-np.inf, -np.inf, np.inf, np.inf]
    assert group_auc([0, 1, 1, 0], scores, [1, 1, 1, 1]) == 0.5
    assert np.isnan(group_auc([0, 1], [0.5, np.nan], [1, 1]))
    assert np.isnan(group_auc([0, 1], [0.5, 0.6], [1, 2]))
    assert np.isnan(group_auc([], [], []))


@pytest.mark.once
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("y_true", [0, 2]),
        ("y_true", [[0, 1]]),
        ("y_score", [0.5]),
        ("groups", [1, 2, 3]),
        ("sample_weight", [1, -1]),
        ("sample_weight", [1, np.inf]),
    ],
)
def test_wrong_arrays_raise(name, value):
    arrays = {"y_true": [0, 1], "y_score": [0.1, 0.2], "groups": [1, 1]}
    with pytest.raises(ValueError, match=f"{name}: expected"):
        group_auc(**arrays | {name: value})


def test_callbacks_monitor_group_auc(tmp_path):
    """Training stops after the best epoch, which is saved."""
    skip_left_out("fit")
    x = np.stack([LABELS, SCORES], 1)[:, :1].astype("float32")
    layer = keras.layers.Dense(
        1, kernel_initializer="ones", bias_initializer="zeros"
    )
    model = keras.Sequential([keras.Input((1,)), layer])
    # The scores follow the labels until the third epoch and then oppose them.
    model.compile("sgd", "mse")
    slopes = iter([0.5, 1.0, -1.0, -1.0])

    def set_slope(epoch, logs):
        layer.kernel.assign([[next(slopes)]])

    best = tmp_path / "best.keras"
    monitored = {"monitor": "val_gauc", "mode": "max"}
    metric = GroupAUC(x, LABELS, USERS, WEIGHTS, batch_size=64)
    fitted = model.fit(
        *(x, 0 * LABELS),
        epochs=9,
        verbose=0,
        callbacks=[
            keras.callbacks.LambdaCallback(on_epoch_end=set_slope),
            metric,
            keras.callbacks.EarlyStopping(**monitored, patience=2),
            keras.callbacks.ModelCheckpoint(
                best, **monitored, save_best_only=True
            ),
        ],
    )
    assert fitted.history["val_gauc"] == [1, 1, 0]
    saved = keras.saving.load_model(best)
    assert group_auc(LABELS, saved.predict(x, verbose=0), USERS) == 1


@pytest.mark.once
def test_group_auc_callback_needs_pairs():
    with pytest.raises(ValueError, match="groups: expected a group with both"):
        GroupAUC(np.eye(2), [0, 1], [1, 2])


def list_arrays():
    """Labels, scores with ties, and weights of lists with padding."""
    labels = DRAW.integers(0, 2, VALID.shape)
    labels[1] = 0
    scores = DRAW.integers(0, 4, VALID.shape) / 4
    return labels, scores.astype("float32"), DRAW.random(VALID.shape)


@pytest.mark.parametrize("weighted", [None, "lists", "candidates"])
def test_list_auc_is_group_auc_of_rows(weighted):
    skip_left_out("fit")
    labels, scores, weights = list_arrays()
    groups = np.arange(len(VALID))[:, None] * np.ones_like(labels)
    if weighted == "lists":
        weights = weights[:, 0]
    elif weighted is None:
        weights = None
    metric = ListAUC()
    padded = np.where(VALID, labels, -1), np.where(VALID, scores, np.nan)
    for rows in (slice(2), slice(2, None)):  # two batches
        metric.update_state(
            *(x[rows] for x in padded),
            None if weights is None else weights[rows],
        )
    if weights is not None:
        weights = np.broadcast_to(weights.T, VALID.T.shape).T[VALID]
    expected = group_auc(labels[VALID], scores[VALID], groups[VALID], weights)
    assert_close(float(metric.result()), expected)
    metric.update_state(np.array([[1, 0]]), np.array([[np.nan, 0]]))
    assert np.isnan(float(metric.result()))
    with pytest.raises(ValueError, match="y_pred: expected shape"):
        metric.update_state(np.ones((1, 2)), np.zeros((1, 2, 1)))


def test_list_auc_of_a_model():
    skip_left_out("fit")
    model = BY_NAME["DIN"].make(num_candidates=None)
    model.compile("sgd", "binary_crossentropy", metrics=[ListAUC()])
    x = inputs_of(model, lists())
    labels = np.arange(COUNT) % 3 == 0 * np.ones(VALID.shape)
    scores = model.predict(x, verbose=0)
    groups = np.arange(len(VALID))[:, None] * np.ones_like(labels)
    logs = model.evaluate(x, labels, verbose=0, return_dict=True)
    expected = group_auc(labels[VALID], scores[VALID], groups[VALID])
    assert_close(logs["list_auc"], expected)
