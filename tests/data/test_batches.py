"""Batches by length: each row once, cut to its bucket; they train."""

import keras
import numpy as np
import pytest

from kseq.data import BucketedBatches, Ragged, sequence_samples
from kseq.feature_column import SparseFeat, VarLenSparseFeat
from kseq.models import DIN
from tests.layers.checks import skip_left_out

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
        seed=1,
    )
    orders = []
    for _ in range(3):
        seen = [(x, y, weight) for x, y, weight in batches]
        orders.append(np.concatenate([x["row"] for x, _, _ in seen]).tolist())
        assert orders[-1] == batches.order.tolist()
        assert sorted(orders[-1]) == ROW.tolist()
        widths = [x["hist_item"].shape[1] for x, _, _ in seen]
        assert widths[0] != widths[1]  # for TensorFlow
        for (x, y, weight), width in zip(seen, widths, strict=True):
            rows, lengths = x["row"], x["seq_length"]
            expected = SAMPLES.inputs["hist_item"][rows]
            assert (x["hist_item"] == expected[:, :width]).all()
            assert len(rows) <= 7
            shorter = {4: -1, 8: 4, 16: 8, 20: 16}[width]
            assert ((lengths > shorter) & (lengths <= width)).all()
            assert (y == -rows).all()
            assert (weight == 2 * rows).all()
        batches.on_epoch_end()
    assert (orders[0] != orders[1]) == shuffle


@once
def test_seed_remainder_and_default_buckets():
    def make(seed):
        options = {"batch_size": 8, "drop_remainder": True}
        return BucketedBatches(INPUTS, seed=seed, **options)

    one, same, other = make(1), make(1), make(2)
    assert (one.order == same.order).all()
    assert (one.order != other.order).any()
    assert all(len(x["row"]) == 8 for (x,) in one)
    assert {x["hist_item"].shape[1] for (x,) in one} == {8, 16, 20}
    stale = Ragged(np.arange(9), np.array([0, 2]), np.array([2, 9]))
    (batch,) = BucketedBatches({"a": stale}, lengths=stale.lengths, buckets=[7])
    assert batch[0]["a"].tolist() == [[0, 1, 0, 0, 0, 0, 0], [*range(2, 9)]]


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
    model = DIN([item, VarLenSparseFeat(clicks, None)], ["item"], seed=1)
    model.compile("adam", "binary_crossentropy")
    label = (LOG["item"] > 9).astype("float32")
    batches = BucketedBatches(
        SAMPLES.inputs, label, batch_size=16, sample_weight=label + 1, seed=1
    )
    losses = model.fit(batches, epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    asked = BucketedBatches(SAMPLES.inputs, batch_size=16, shuffle=False)
    scores = np.zeros((90, 1), "float32")
    scores[asked.order] = model.predict(asked, verbose=0)
    expected = model.predict(SAMPLES.inputs, verbose=0)
    np.testing.assert_allclose(scores, expected, atol=1e-6)
    keras.backend.clear_session()
