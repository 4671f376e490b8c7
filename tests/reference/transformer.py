"""Vaswani et al., 2017, with DeepCTR's variants, head by head."""

import numpy as np

from tests.reference.attention import relu
from tests.reference.masks import select, softmax


def table(steps, dim):
    """Section 3.5: sines in even places, cosines in odd ones."""
    return np.array(
        [
            [
                (np.cos if i % 2 else np.sin)(t / 10000 ** (2 * (i // 2) / dim))
                for i in range(dim)
            ]
            for t in range(steps)
        ]
    )


def layer_norm(x, gamma, beta, epsilon=1e-9):
    mean = x.mean(axis=-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


def unit(x):
    squares = (x * x).sum(axis=-1, keepdims=True)
    # Padded keys are 0: avoid dividing by 0.
    return x / np.sqrt(select(squares.real > 1e-12, squares, 1e-12))


def scores(q, k, kind, extra):
    """(batch, queries, steps) of one head."""
    if kind == "additive":
        b, v = extra
        return np.tanh(q[:, :, None] + k[:, None] + b) @ v
    factor = q.shape[-1] ** -0.5
    if kind == "cos":
        q, k, factor = unit(q), unit(k), 20.0
    elif kind == "ln":
        q, k = layer_norm(q, *extra[:2]), layer_norm(k, *extra[2:])
    return factor * q @ np.swapaxes(k, 1, 2)


def transformer(
    queries,
    keys,
    query_valid,
    valid,
    weights,
    heads,
    kind="scaled_dot_product",
    positions=False,
    residual=True,
    feed_forward=True,
    normalized=False,
    blinding=True,
    output="mean",
    window=None,
):
    weights = list(weights)

    def take(n):
        taken, weights[:] = weights[:n], weights[n:]
        return taken

    wq, wk, wv = take(3)
    extra = take(2) if kind == "additive" else []
    fw1, fw2 = take(2) if feed_forward and residual else (None, None)
    if kind == "ln":
        extra = take(4)
    norm = take(2) if normalized else None
    keys = select(valid[..., None], keys)
    if output not in ("mean", "sum"):
        queries = select(query_valid[..., None], queries)
    if positions:
        scale = queries.shape[-1] ** 0.5
        query_table, key_table = take(2)
        queries = queries + scale * query_table[: queries.shape[1]]
        keys = keys + scale * key_table[: keys.shape[1]]

    allowed = np.repeat(valid[:, None], queries.shape[1], axis=1)
    allowed = allowed & visible(*allowed.shape[1:], blinding, window=window)
    found = []
    for q, k, v in zip(
        *(
            np.split(x @ w, heads, axis=-1)
            for x, w in ((queries, wq), (keys, wk), (keys, wv))
        ),
        strict=True,
    ):
        found.append(softmax(scores(q, k, kind, extra), allowed) @ v)
    y = select(query_valid[..., None], np.concatenate(found, axis=-1))
    if residual:
        y = y + queries
    if normalized:
        y = layer_norm(y, *norm)
    if feed_forward:
        if residual:
            y = y + relu(y @ fw1) @ fw2
        if normalized:
            y = layer_norm(y, *norm)
    if output is None:
        return select(query_valid[..., None], y)
    if output.startswith("masked"):
        y = select(query_valid[..., None], y)
        count = query_valid.sum(axis=1)
    else:
        count = np.full(len(y), y.shape[1])
    total = y.sum(axis=1, keepdims=True)
    if output.endswith("sum"):
        return total
    return total / np.maximum(count, 1)[:, None, None]


def visible(queries, steps, blinding=False, causal=False, window=None):
    """Which keys a query sees by their numbers: `(queries, steps)`."""
    i, j = np.arange(queries)[:, None], np.arange(steps)
    seen = np.ones((queries, steps), bool)
    if blinding:
        seen &= i != j
    if causal:
        seen &= j <= i
    if window:
        seen &= abs(i - j) < window
    return seen


def attend(kind, blinding=False, causal=False, window=None):
    """A function of (batch, heads, steps, dim), as `multi_head_attention`."""

    def attention(
        query,
        keys,
        values,
        valid,
        query_valid=None,
        weights=(),
        attention_mask=True,
        attention_bias=None,
    ):
        queries, steps = query.shape[2], keys.shape[2]
        allowed = np.repeat(valid[:, None], queries, axis=1) & attention_mask
        allowed = allowed & visible(queries, steps, blinding, causal, window)
        heads = []
        for h in range(query.shape[1]):
            q, k, v = query[:, h], keys[:, h], values[:, h]
            s = scores(q, k, kind, weights)
            if attention_bias is not None:
                s = s + attention_bias[:, h]
            heads.append(softmax(s, allowed) @ v)
        found = np.stack(heads, axis=1)
        if query_valid is None:
            return found
        return select(query_valid[:, None, :, None], found)

    return attention
