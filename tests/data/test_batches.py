"""Batches by length: each row once, cut to its bucket; they train."""

import itertools

import numpy as np
import pytest

from kseq.data import BucketedBatches, sequence_samples
from kseq.feature_column import SparseFeat, VarLenSparseFeat
from kseq.models import DIN
from tests.support import skip_left_out

once = pytest.mark.once
RNG = np.random.default_rng(0)
LOG = {
    "user": RNG.integers(0, 4, 90),
    "item": RNG.integers(1, 20, 90),
    "time": RNG.integers(0, 60, 90),
}
SAMPLES = sequence_samples(LOG, steps=20)
ROW = np.arange(90)
INPUTS = SAMPLES.inputs | {"row": ROW}


@once
@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("shuffle", [True, False])
def test_each_epoch_has_each_row_once_in_its_bucket(padded, shuffle):
    samples = sequence_samples(LOG, steps=20, padded=padded)
    batches = BucketedBatches(
        samples.inputs | {"row": ROW},
        -ROW,
        batch_size=7,
        buckets=[4, 8, 16, 20],
        sample_weight=2 * ROW,
        shuffle=shuffle,
    )
    epochs = []
    for _ in range(3):
        widths = [x["hist_item"].shape[1] for x, _, _ in batches]
        assert widths[0] != widths[1]  # for TensorFlow
        assert sorted(batches.order) == ROW.tolist()
        rows = iter(batches.order)
        epochs.append({tuple(x["row"]) for x, _, _ in batches})
        for (x, y, weight), width in zip(batches, widths, strict=True):
            assert len(y) <= 7
            assert [*x["row"]] == [*itertools.islice(rows, len(y))]
            history = SAMPLES.inputs["hist_item"][x["row"]]
            assert (x["hist_item"] == history[:, :width]).all()
            shorter = {4: -1, 8: 4, 16: 8, 20: 16}[width]
            assert (x["seq_length"] > shorter).all()
            assert (x["seq_length"] <= width).all()
            assert (y == -x["row"]).all()
            assert (weight == 2 * x["row"]).all()
        batches.on_epoch_end()
    assert (epochs[0] != epochs[1]) == shuffle


@once
def test_seed_remainder_and_default_buckets():
    options = {"batch_size": 8, "drop_remainder": True}
    one, same, other = (
        BucketedBatches(INPUTS, seed=seed, **options) for seed in (1, 1, 2)
    )
    assert (one.order == same.order).all()
    assert (one.order != other.order).any()
    assert all(len(x["row"]) == 8 for (x,) in one)
    ragged = sequence_samples(LOG, steps=20, padded=False).inputs
    for batches in (one, BucketedBatches(ragged, **options)):
        assert {x["hist_item"].shape[1] for (x,) in batches} == {8, 16, 20}


@once
@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"buckets": [4, 8]}, "buckets: .* the last at least 20"),
        ({"buckets": [20, 4]}, "buckets: expected ascending"),
        ({"lengths": "length"}, "lengths: expected one of"),
        ({"targets": np.ones(3)}, "targets: expected 90 rows; received 3"),
        ({"sequences": ["clicks"]}, "sequences: expected some of"),
        ({"batch_size": 99, "drop_remainder": True}, "inputs: .* one batch"),
        ({"seed": -1}, "seed: expected"),
    ],
)
def test_wrong_arguments_raise(change, error):
    with pytest.raises(ValueError, match=error):
        BucketedBatches(INPUTS, **change)


def test_batches_train_and_predict():
    skip_left_out("fit")
    item = SparseFeat("item", 20, 4)
    clicks = SparseFeat("hist_item", 20, 4, embedding_name="item")
    columns = [item, VarLenSparseFeat(clicks, None)]
    small = {"att_hidden_size": (4,), "dnn_hidden_units": (4,)}
    model = DIN(columns, ["item"], **small, seed=1)
    model.compile("adam", "binary_crossentropy")
    label = (LOG["item"] > 9).astype("float32")
    options = {"buckets": [8, 20], "sample_weight": label + 1, "seed": 1}
    batches = BucketedBatches(
        SAMPLES.inputs, label, batch_size=16, drop_remainder=True, **options
    )
    losses = model.fit(batches, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    asked = BucketedBatches(SAMPLES.inputs, buckets=[8, 20], shuffle=False)
    scores = np.zeros((90, 1), "float32")
    scores[asked.order] = model.predict(asked, verbose=0)
    expected = model.predict(SAMPLES.inputs, verbose=0)
    np.testing.assert_allclose(scores, expected, atol=1e-6)
