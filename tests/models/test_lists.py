"""Models of several candidates equal models of one, of repeated rows."""

import keras
import numpy as np
import pytest

from kseq.feature_column import DenseFeat
from kseq.losses import SoftmaxLoss
from kseq.models import ranking_model, score_candidates, split_model
from tests.models.examples import (
    BATCH,
    BY_NAME,
    SIZES,
    arrays,
    inputs_of,
    make,
    predict,
    sequences,
    tags,
)
from tests.support import assert_close, once, skip_left_out, to_numpy

COUNT = 7
# Candidates of each example; the others are padding.
NUMBERS = np.array([7, 5, 3, 1, 6])
VALID = np.arange(COUNT) < NUMBERS[:, None]
ROWS, PLACES = np.nonzero(VALID)


def lists():
    """Features of several candidates, of which some are padding."""
    draw = np.random.default_rng(1)
    drawn = {
        name: draw.integers(1, SIZES[name], (BATCH, COUNT)) * VALID
        for name in ("item", "cate")
    }
    return arrays() | drawn


def as_rows(features, names=("item", "cate")):
    """A row for each candidate."""
    return {
        n: x[ROWS, PLACES][:, None] if n in names else x[ROWS]
        for n, x in features.items()
    }


def assert_scores_agree(one, many, features, names=("item", "cate")):
    """Those of a model of one candidate, of one of several, and of parts.

    Returns:
        The scores.
    """
    scores = predict(many, features)
    expected = predict(one, as_rows(features, names))[:, 0]
    assert np.ptp(expected) > 1e-6
    assert_close(scores[ROWS, PLACES], expected)
    user, candidates = split_model(one)
    assert not {*names} & {x.name for x in user.inputs}
    state = user(inputs_of(user, features))
    state = {n: to_numpy(x) for n, x in state.items()}
    assert_close(predict(candidates, features | state)[ROWS, PLACES], expected)
    first = {n: x[0] for n, x in inputs_of(one, features).items()}
    mine = {n: first.pop(n) for n in names}
    assert_close(score_candidates(one, first, mine), scores[0])
    return scores


@pytest.mark.parametrize(
    "name",
    ["DIN", *map(once, ("DIEN-AUGRU-negatives", "DIEN-AIGRU", "DSIN", "BST"))],
)
def test_scores_equal_those_of_repeated_rows(name):
    """Of a model, of one made of it, and of its two parts."""
    one = BY_NAME[name].make()
    many = BY_NAME[name].make(num_candidates=None)
    assert many.output_shape == (None, None)
    many.set_weights(one.get_weights())
    scores = assert_scores_agree(one, many, lists())
    again = predict(ranking_model(one), lists())
    assert_close(again[ROWS, PLACES], scores[ROWS, PLACES])


@pytest.mark.once
def test_models_made_of_others_are_split_and_saved(tmp_path):
    model = ranking_model(BY_NAME["DIN"].make())
    assert ranking_model(model) is model
    expected = predict(model, lists())
    user, candidates = split_model(model)
    for part in (user, candidates):
        part.save(tmp_path / f"{part.name}.keras")
    user, candidates = (
        keras.saving.load_model(tmp_path / f"{part.name}.keras")
        for part in (user, candidates)
    )
    state = user.predict(inputs_of(user, lists()), verbose=0)
    assert_close(predict(candidates, lists() | state), expected)
    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    for function in (ranking_model, split_model):
        with pytest.raises(ValueError, match=r"model: expected a model of"):
            function(other)


def candidate_model(**options):
    """DIN with other features of the candidate: numbers, and sets of ids."""
    price = DenseFeat("price", transform_fn=lambda x: x / 2)
    sets = tags(weight_name="w", length_name="tags_length")
    own = [price, DenseFeat("text", 2), sets]
    return make(
        BY_NAME["DIN"].build,
        *[*own, *sequences("hist_")],
        candidate_feature_list=[column.name for column in own],
        dnn_hidden_units=(4,),
        **options,
    )


@pytest.mark.once
def test_other_features_of_the_candidate():
    draw = np.random.default_rng(2)
    shapes = {"price": (), "text": (2,), "w": (3, 1)}
    own = {n: draw.normal(size=(BATCH, COUNT, *s)) for n, s in shapes.items()}
    own["tags"] = draw.integers(0, SIZES["tags"], (BATCH, COUNT, 3))
    own["tags_length"] = draw.integers(0, 4, (BATCH, COUNT))
    features = lists() | own
    many, one = candidate_model(num_candidates=None), candidate_model()
    assert_scores_agree(one, many, features, ("item", "cate", *own))


def compiled(model):
    metrics = ["accuracy", "AUC", keras.metrics.MeanSquaredError()]
    model.compile(
        keras.optimizers.SGD(0.1),
        "binary_crossentropy",
        metrics=metrics,
        weighted_metrics=["binary_crossentropy"],
    )
    return model


@pytest.mark.parametrize("weighted", [once(False), True])
def test_training_equals_that_of_repeated_rows(weighted, tmp_path):
    """With batch statistics, which leave out padding too."""
    skip_left_out("fit")
    options = {"dnn_use_bn": True, "att_activation": "dice"}
    one = compiled(BY_NAME["DIN"].make(**options))
    many = compiled(BY_NAME["DIN"].make(num_candidates=None, **options))
    draw = np.random.default_rng(3)
    y = draw.integers(0, 2, VALID.shape).astype("float32")
    w = draw.uniform(size=VALID.shape).astype("float32") if weighted else None
    rows = inputs_of(one, as_rows(lists()))
    for _ in range(2):
        expected = one.train_on_batch(
            rows,
            y[ROWS, PLACES],
            sample_weight=w[ROWS, PLACES] if weighted else None,
            return_dict=True,
        )
        logs = many.train_on_batch(
            inputs_of(many, lists()), y, sample_weight=w, return_dict=True
        )
    assert logs.keys() == expected.keys()
    for name in logs:
        assert_close(logs[name], expected[name], "fit", name=name)
    for ours, theirs in zip(many.weights, one.weights, strict=True):
        assert_close(to_numpy(ours), to_numpy(theirs), "fit", name=ours.path)
    many.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    found = [
        m.evaluate(inputs_of(m, lists()), y, verbose=0) for m in (loaded, many)
    ]
    assert_close(*found)


@pytest.mark.once
def test_wrong_targets_raise():
    model = compiled(BY_NAME["DIN"].make(num_candidates=None))
    x = inputs_of(model, lists())
    with pytest.raises(ValueError, match="y: expected targets for each"):
        model.fit(x, np.ones(BATCH), verbose=0)
    with pytest.raises(ValueError, match=r"class_weight: .*sample_weight"):
        model.fit(x, np.ones((BATCH, COUNT)), class_weight={0: 1, 1: 2})


@pytest.mark.once
def test_softmax_loss():
    draw = np.random.default_rng(4)
    logits = draw.normal(size=VALID.shape).astype("float32")
    labels = draw.integers(0, 2, VALID.shape).astype("float32")
    labels[1] = 0
    total = []
    for row, y, valid in zip(logits, labels, VALID, strict=True):
        p = np.exp(row[valid]) / np.exp(row[valid]).sum()
        total.append(-(y[valid] * np.log(p)).sum() / max(y[valid].sum(), 1))
    loss = SoftmaxLoss()(np.where(VALID, labels, -1), logits)
    assert_close(to_numpy(loss), np.mean(total))
    model = BY_NAME["DIN"].make(
        num_candidates=None, task="regression", l2_reg_embedding=0
    )
    model.compile(loss=SoftmaxLoss())
    x = inputs_of(model, lists())
    expected = SoftmaxLoss()(
        np.where(VALID, labels, -1), model.predict(x, verbose=0)
    )
    assert_close(model.evaluate(x, labels, verbose=0), float(expected))


def test_losses_and_metrics_of_keras_rs():
    skip_left_out("fit")
    keras_rs = pytest.importorskip("keras_rs")
    model = BY_NAME["DIN"].make(
        num_candidates=None, task="regression", l2_reg_embedding=0
    )
    loss = keras_rs.losses.PairwiseLogisticLoss()
    metric = keras_rs.metrics.NDCG(k=3, name="ndcg", shuffle_ties=False)
    model.compile("sgd", loss, metrics=[metric])
    x = inputs_of(model, lists())
    y = (np.arange(COUNT) == 0) * np.ones(VALID.shape, "float32")
    labels = np.where(VALID, y, -1)
    scores = model.predict(x, verbose=0)
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    assert_close(logs["loss"], float(loss(labels, scores)))
    metric.reset_state()
    metric.update_state(labels, scores)
    assert_close(logs["ndcg"], float(metric.result()))
    model.fit(x, y, verbose=0)
