"""The Transformer's attention, without all its scores in memory at once."""

from collections.abc import Callable

import keras
from keras import ops

from kseq.checks import check_one_of
from kseq.ops.masks import masked_softmax
from kseq.ops.numerics import l2_normalize, layer_normalize, linear, tanh
from kseq.types import Tensor

ATTENTION_TYPES = ("scaled_dot_product", "cos", "ln", "additive")

# Scores of one head and one example that may be in memory at once: above this,
# queries are taken in groups, whose scores are computed again for the gradient.
MOST_SCORES = 1 << 20
# NumPy and OpenVINO have no gradients, and nothing to compute again for.
TRAINS = keras.backend.backend() in ("tensorflow", "torch", "jax")


def multi_head_attention(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    valid: Tensor,
    attention_type: str = "scaled_dot_product",
    weights: tuple[Tensor, ...] = (),
    blinding: bool = False,
    dropout: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    r"""What each query finds among the keys, one answer for each head.

    $$y_{bhi} = \sum_j \mathrm{softmax}_j(s_{bhij})\, v_{bhj}$$

    over the keys $j$ that count, with the score $s$ of query $q$ and key $k$

    - "scaled_dot_product": $q \cdot k / \sqrt{d}$;
    - "cos": $20 \cos(q, k)$;
    - "ln": as the first, of $q$ and $k$ after layer normalisation;
    - "additive": $v \cdot \tanh(q + k + b)$.

    Args:
        query: `(batch, heads, queries, dim)`.
        keys: `(batch, heads, steps, dim)`.
        values: `(batch, heads, steps, dim)`.
        valid: bool `(batch, steps)` of the keys.
        attention_type: one of those above.
        weights: "ln": gamma and beta of the queries, then of the keys;
            "additive": $b$ and $v$; each `(dim,)`.
        blinding: True: step $i$ does not look at step $i$.
        dropout: applied to the softmax, or None.

    Returns:
        `(batch, heads, queries, dim)`; 0 for a query without a key that counts.

    Raises:
        ValueError: `attention_type` is none of those above.

    Reference:
        Vaswani et al., Attention Is All You Need, 2017, equation 1; Bahdanau et
        al., Neural Machine Translation by Jointly Learning to Align and
        Translate, 2015 ("additive").

    Example:

    >>> import numpy as np
    >>> q = np.ones((2, 1, 3, 4), "float32")
    >>> k = np.ones((2, 1, 5, 4), "float32")
    >>> tuple(multi_head_attention(q, k, k, np.ones((2, 5), bool)).shape)
    (2, 1, 3, 4)
    """
    check_one_of("attention_type", attention_type, ATTENTION_TYPES)
    query, keys = ops.convert_to_tensor(query), ops.convert_to_tensor(keys)
    values = ops.convert_to_tensor(values)
    valid = ops.convert_to_tensor(valid)[:, None, None, :]
    factor = keys.shape[-1] ** -0.5
    if attention_type == "cos":
        query, keys, factor = l2_normalize(query), l2_normalize(keys), 20.0
    elif attention_type == "ln":
        query = layer_normalize(query, *weights[:2])
        keys = layer_normalize(keys, *weights[2:])
    keys_t = ops.transpose(keys, (0, 1, 3, 2))
    at_key = _positions(keys)

    def attend(query: Tensor, at_query: Tensor, keys: Tensor) -> Tensor:
        if attention_type == "additive":
            bias, vector = weights
            both = query[:, :, :, None] + keys[:, :, None] + bias
            scores = linear(tanh(both), vector[:, None])[..., 0]
        else:
            scores = (query * factor) @ keys
        allowed = valid
        if blinding:
            apart = at_query[:, None] != at_key[None, :]
            allowed = ops.logical_and(valid, apart)
        shown = masked_softmax(scores, allowed)
        if dropout is not None:
            shown = dropout(shown)
        return shown @ values

    at_query = _positions(query)
    keys = keys if attention_type == "additive" else keys_t
    groups = _groups(query.shape[2], at_key.shape[0], attention_type, query)
    if len(groups) == 1:
        return attend(query, at_query, keys)
    if TRAINS and dropout is None:  # what is drawn would be drawn anew
        attend = keras.remat(attend)
    return ops.concatenate(
        [attend(query[:, :, g], at_query[g], keys) for g in groups], axis=2
    )


def _positions(x: Tensor) -> Tensor:
    """0, 1, ... for the steps of `(batch, heads, steps, dim)`."""
    # A running count: exporters refuse arange where steps is not known.
    return ops.cumsum(ops.ones_like(x[0, 0, :, 0], "int32"), axis=0)


def _groups(
    queries: int | None, steps: int | None, attention_type: str, query: Tensor
) -> list[slice]:
    """The queries, in groups of few enough scores where sizes are known."""
    if queries is None or steps is None:
        return [slice(None)]
    each = steps * (query.shape[-1] if attention_type == "additive" else 1)
    size = max(1, MOST_SCORES // max(1, each))
    if size >= queries:
        return [slice(None)]
    return [slice(i, i + size) for i in range(0, queries, size)]
