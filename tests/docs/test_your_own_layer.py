"""The layer of docs/tutorials/your_own_layer.md computes what it says."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest

from kseq.agreement.tables import left_out
from tests.arrays import to_numpy

PAGE = Path(__file__).parents[2] / "docs" / "tutorials" / "your_own_layer.md"
QUERY_LENGTHS, KEYS_LENGTHS = np.array([3, 1, 2, 0]), np.array([6, 3, 0, 4])


@pytest.fixture(scope="module")
def cross_attention_pooling():
    block = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.S)[1]
    namespace = {"__name__": "cross_attention"}
    exec(compile(block, str(PAGE), "exec"), namespace)
    return namespace["CrossAttentionPooling"]


def expected(query, keys, kernel):
    """The formula for one user at a time, without padding."""
    pooled = np.zeros((len(query), keys.shape[-1]))
    lengths = zip(QUERY_LENGTHS, KEYS_LENGTHS, strict=True)
    for row, (m, n) in enumerate(lengths):
        if m and n:
            exp = np.exp(query[row, :m] @ kernel @ keys[row, :n].T)
            weights = exp / exp.sum(axis=1, keepdims=True)
            pooled[row] = (weights @ keys[row, :n]).mean(axis=0)
    return pooled


def valid(lengths, steps):
    return np.arange(steps) < lengths[:, None]


@pytest.mark.parametrize("given", ["lengths", "masks"])
def test_values_with_nan_in_padding(cross_attention_pooling, given):
    draw = np.random.default_rng(0).normal
    query, keys = draw(size=(4, 3, 5)), draw(size=(4, 6, 2))
    query_valid, keys_valid = valid(QUERY_LENGTHS, 3), valid(KEYS_LENGTHS, 6)
    layer = cross_attention_pooling()
    options = {
        "lengths": {
            "query_lengths": QUERY_LENGTHS,
            "keys_lengths": KEYS_LENGTHS,
        },
        "masks": {"query_mask": query_valid, "keys_mask": keys_valid},
    }[given]
    padded = [
        np.where(v[..., None], x, np.nan).astype("float32")
        for x, v in ((query, query_valid), (keys, keys_valid))
    ]
    y = to_numpy(layer(*padded, **options))
    kernel = to_numpy(layer.kernel.value)
    np.testing.assert_allclose(y, expected(query, keys, kernel), atol=1e-5)


def test_masks_of_embeddings_in_a_saved_model(
    cross_attention_pooling, tmp_path
):
    ids = [keras.Input((None,), dtype="int32") for _ in range(2)]
    embeds = [keras.layers.Embedding(50, d, mask_zero=True) for d in (5, 2)]
    layer = cross_attention_pooling()
    tensors = [embed(x) for embed, x in zip(embeds, ids, strict=True)]
    model = keras.Model(ids, layer(*tensors))
    draw = np.random.default_rng(0).integers
    batch = [
        draw(1, 50, size=(4, steps)) * valid(lengths, steps)
        for lengths, steps in ((QUERY_LENGTHS, 3), (KEYS_LENGTHS, 6))
    ]
    y = to_numpy(model(batch))
    tables = [to_numpy(embed.embeddings) for embed in embeds]
    query, keys = (t[x] for t, x in zip(tables, batch, strict=True))
    kernel = to_numpy(layer.kernel.value)
    np.testing.assert_allclose(y, expected(query, keys, kernel), atol=1e-5)

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(to_numpy(loaded(batch)), y, atol=1e-6)


def test_training(cross_attention_pooling):
    if reason := left_out(keras.backend.backend(), "fit", "float32"):
        pytest.skip(reason)
    inputs = [keras.Input((None, dim)) for dim in (5, 2)]
    lengths = [keras.Input((), dtype="int32") for _ in range(2)]
    layer = cross_attention_pooling()
    named = dict(zip(("query_lengths", "keys_lengths"), lengths, strict=True))
    model = keras.Model([*inputs, *lengths], layer(*inputs, **named))
    model.compile("sgd", "mse")
    query, keys = np.ones((4, 3, 5), "float32"), np.ones((4, 6, 2), "float32")
    query[0, 0] = 2.0
    keys[0, 0] = 3.0
    for x, n in ((query, QUERY_LENGTHS), (keys, KEYS_LENGTHS)):
        x[~valid(n, x.shape[1])] = np.nan
    before = to_numpy(layer.kernel.value).copy()
    batch = [query, keys, QUERY_LENGTHS, KEYS_LENGTHS]
    model.fit(batch, np.zeros((4, 2), "float32"), verbose=0)
    after = to_numpy(layer.kernel.value)
    assert np.isfinite(after).all()
    assert not np.array_equal(after, before)
