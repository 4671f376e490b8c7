"""The layer of docs/tutorials/your_own_layer.md computes what it says."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.support import to_numpy

PAGE = Path(__file__).parents[2] / "docs" / "tutorials" / "your_own_layer.md"
QUERY_LENGTHS, KEYS_LENGTHS = np.array([3, 1, 2, 0]), np.array([6, 3, 0, 4])
QUERY_VALID = np.arange(3) < QUERY_LENGTHS[:, None]
KEYS_VALID = np.arange(6) < KEYS_LENGTHS[:, None]
LENGTHS = {"query_lengths": QUERY_LENGTHS, "keys_lengths": KEYS_LENGTHS}
MASKS = {"query_mask": QUERY_VALID, "keys_mask": KEYS_VALID}


@pytest.fixture
def layer():
    block = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.S)[1]
    namespace = {"__name__": "cross_attention"}
    exec(compile(block, str(PAGE), "exec"), namespace)
    return namespace["CrossAttentionPooling"]()


def expected(query, keys, layer):
    """The formula for one user at a time, without padding."""
    kernel = to_numpy(layer.kernel.value)
    pooled = np.zeros((len(query), keys.shape[-1]))
    lengths = zip(QUERY_LENGTHS, KEYS_LENGTHS, strict=True)
    for row, (m, n) in enumerate(lengths):
        if m and n:
            exp = np.exp(query[row, :m] @ kernel @ keys[row, :n].T)
            weights = exp / exp.sum(axis=1, keepdims=True)
            pooled[row] = (weights @ keys[row, :n]).mean(axis=0)
    return pooled


def draw_padded():
    """A query and keys with NaN in padded steps."""
    draw = np.random.default_rng(0).normal
    return [
        np.where(valid[..., None], draw(size=(*valid.shape, dim)), np.nan)
        for valid, dim in ((QUERY_VALID, 5), (KEYS_VALID, 2))
    ]


@pytest.mark.parametrize("given", [LENGTHS, MASKS], ids=["lengths", "masks"])
def test_values_with_nan_in_padding(layer, given):
    query, keys = (x.astype("float32") for x in draw_padded())
    got = to_numpy(layer(query, keys, **given))
    np.testing.assert_allclose(got, expected(query, keys, layer), atol=1e-5)


def test_masks_of_embeddings_in_a_saved_model(layer, tmp_path):
    ids = [keras.Input((None,), dtype="int32") for _ in range(2)]
    embeds = [keras.layers.Embedding(50, d, mask_zero=True) for d in (5, 2)]
    tensors = [embed(x) for embed, x in zip(embeds, ids, strict=True)]
    model = keras.Model(ids, layer(*tensors))
    draw = np.random.default_rng(0).integers
    batch = [
        draw(1, 50, size=valid.shape) * valid
        for valid in (QUERY_VALID, KEYS_VALID)
    ]
    got = to_numpy(model(batch))
    tables = [to_numpy(embed.embeddings) for embed in embeds]
    query, keys = (t[x] for t, x in zip(tables, batch, strict=True))
    np.testing.assert_allclose(got, expected(query, keys, layer), atol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(to_numpy(loaded(batch)), got, atol=1e-6)
