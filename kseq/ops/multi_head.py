"""The Transformer's attention, without all its scores in memory at once."""

from collections.abc import Callable

from keras import ops

from kseq.checks import Words, check_one_of, check_rank, refuse
from kseq.ops.backends import fused_attention, loop, may_be
from kseq.ops.masks import check_mask
from kseq.ops.numerics import (
    HALF_DTYPES,
    NEVER,
    dtype_of,
    l2_normalize,
    layer_normalize,
    linear,
    step_numbers,
    tanh,
    upcast,
)
from kseq.types import Tensor

ATTENTION_TYPES = ("scaled_dot_product", "cos", "ln", "additive")

# How many weights those take that have some.
WEIGHTS = {"ln": 4, "additive": 2}

# What a score may be: a float16, or one that NEVER far outweighs.
HIGHEST_SCORE = {"float16": 3e4, "float32": 1e24}

# Of one head and one example: 1024 queries and as many keys.
MOST_SCORES = 1 << 20


def multi_head_attention(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    valid: Tensor,
    attention_type: str = "scaled_dot_product",
    weights: tuple[Tensor, ...] = (),
    blinding: bool = False,
    dropout: Callable[[Tensor], Tensor] | None = None,
    max_steps: int | None = None,
    most_scores: int = MOST_SCORES,
    query_valid: Tensor | None = None,
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
        dropout: applied to the softmax, or None. With it all scores are kept.
        max_steps: where the number of queries or keys is not known: the most
            there can be.
        most_scores: where one head of one example has more scores than this,
            queries are taken in groups, one after the other, and again for the
            gradient: so many scores are never in memory at once.
        query_valid: bool `(batch, queries)` of the queries that count; None:
            all do.

    Returns:
        `(batch, heads, queries, dim)`; 0 for a query that does not count or
        finds no key that does.

    Raises:
        ValueError: `attention_type` is none of those above, or ranks, sizes or
            the number of weights do not fit.

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
    for name, x in (("query", query), ("keys", keys), ("values", values)):
        check_rank(name, x.shape, (4,))
    needed = WEIGHTS.get(attention_type, 0)
    if len(weights) != needed:
        refuse(
            "weights",
            f"{needed} of them for {attention_type!r}",
            Words(f"{len(weights)}"),
        )
    valid = check_mask(valid, keys[:, 0])
    if query_valid is None:
        query_valid = ops.ones_like(query[:, 0, :, 0], "bool")
    query_valid = check_mask(query_valid, query[:, 0])
    factor = keys.shape[-1] ** -0.5
    if attention_type == "cos":
        query, keys, factor = l2_normalize(query), l2_normalize(keys), 20.0
    elif attention_type == "ln":
        query = layer_normalize(query, *weights[:2])
        keys = layer_normalize(keys, *weights[2:])
    additive = attention_type == "additive"
    if not additive:
        query, weights = query * factor, ()
        if attention_type == "scaled_dot_product":  # others have bounds
            query, keys, weights = _shrunk(query, keys)
        if dropout is None:
            found = fused_attention(
                query, keys, values, query_valid, valid, blinding
            )
            if found is not None:
                return found
        keys = ops.transpose(keys, (0, 1, 3, 2))
    at_key = step_numbers(values[:, 0])

    def attend(
        query: Tensor,
        at_query: Tensor,
        keys: Tensor,
        values: Tensor,
        allowed: Tensor,
        at_key: Tensor,
        *weights: Tensor,
    ) -> Tensor:
        if additive:
            bias, vector = weights
            both = query[:, :, :, None] + keys[:, :, None] + bias
            scores = linear(tanh(both), vector[:, None])[..., 0]
        else:
            scores = upcast(query @ keys)
            for excess in weights:
                scores = scores * excess
        penalty = _penalty(ops.logical_not(allowed))[:, None, None, :]
        if blinding:
            itself = at_query[:, :, None] == at_key[:, None, :]
            penalty = penalty + _penalty(itself)[:, None]
        scores = upcast(scores)
        scores = scores + ops.cast(penalty, scores.dtype)
        return _weigh(scores, values, dropout)

    used = (keys, values, valid, at_key, *weights)
    size = _group_size(query, values, additive, max_steps, most_scores)
    if size is None or dropout is not None:  # drawn anew, it would differ
        found = attend(query, step_numbers(query[:, 0]), *used)
    else:
        found = _by_groups(attend, query, size, used)
    return ops.where(query_valid[:, None, :, None], found, 0.0)


def _shrunk(
    query: Tensor, keys: Tensor
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Query and keys, and what to multiply scores by; mostly as they are.

    Where a score of an example's head could overflow, both are smaller. A
    float16 holds no more than 65504; its scores are made as large again, in
    float32. Others would outweigh NEVER, and stay smaller than they are.
    """
    if 0 in query.shape or 0 in keys.shape:  # no largest of nothing
        return query, keys, ()
    half = dtype_of(query) == "float16"
    # Not all at once: the product could overflow itself.
    unit = HIGHEST_SCORE["float16" if half else "float32"] ** -0.5

    def largest(x: Tensor) -> Tensor:
        x = upcast(ops.stop_gradient(x))
        return ops.amax(ops.abs(x), axis=(2, 3), keepdims=True) * unit

    excess = largest(query) * largest(keys) * query.shape[-1]
    if not may_be(excess > 1.0):
        return query, keys, ()
    excess = ops.where(excess > 1.0, excess, 1.0)
    # Half of it each: a large key would multiply the query's gradient.
    each = ops.sqrt(excess)
    query, keys = (ops.cast(upcast(x) / each, x.dtype) for x in (query, keys))
    return query, keys, (excess,) if half else ()


def _penalty(hidden: Tensor) -> Tensor:
    """What is added to scores: NEVER where hidden, else 0."""
    return ops.cast(hidden, "float32") * NEVER


def _weigh(
    scores: Tensor,
    values: Tensor,
    dropout: Callable[[Tensor], Tensor] | None,
) -> Tensor:
    """The mean of the values by the softmax of their scores; 0 for no value.

    Divided by the softmax's sum at last: there are fewer sums than scores.
    """
    if 0 in scores.shape:  # no backend has a largest of nothing
        return scores @ values
    highest = ops.stop_gradient(ops.amax(scores, axis=-1, keepdims=True))
    shown = ops.exp(scores - highest)
    total = ops.sum(shown, axis=-1, keepdims=True)
    if dtype_of(values) in HALF_DTYPES:  # a sum of values could overflow
        shown, total = ops.cast(shown / total, values.dtype), 1.0
    if dropout is not None:
        shown = dropout(shown)
    # In this order: NaN is no lower, and stays.
    return ops.where(highest < NEVER / 2, 0.0, shown @ values / total)


def _by_groups(
    attend: Callable[..., Tensor],
    query: Tensor,
    size: int,
    used: tuple[Tensor, ...],
) -> Tensor:
    """Attention of `size` queries after the other, as steps of the one loop."""
    batch, heads, queries, dim = ops.shape(query)
    # The last group is filled up with queries that nobody asks for.
    groups = (queries + size - 1) // size
    missing = groups * size - queries
    filling = ops.zeros((batch, heads, missing, dim), query.dtype)
    padded = ops.concatenate([query, filling], axis=2)
    grouped = ops.reshape(padded, (-1, heads, groups, size, dim))
    grouped = ops.transpose(grouped, (0, 2, 1, 3, 4))
    at_query = ops.reshape(step_numbers(padded[:, 0]), (1, groups, size))

    def step(inputs, states, used):  # type: ignore[no-untyped-def]
        keys, values, valid, *others = used
        return (attend(*inputs, keys, values, valid > 0, *others),)

    keys, values, valid, *others = used
    outputs, _ = loop(
        step,
        (grouped, at_query),
        (ops.zeros_like(grouped[:, 0]),),
        (keys, values, ops.cast(valid, query.dtype), *others),
        recompute=True,
    )
    outputs = ops.transpose(outputs, (0, 2, 1, 3, 4))
    outputs = ops.reshape(outputs, (-1, heads, groups * size, dim))
    return outputs[:, :, :queries]


def _group_size(
    query: Tensor,
    values: Tensor,
    additive: bool,
    max_steps: int | None,
    most_scores: int,
) -> int | None:
    """How many queries to take at once; None: all."""
    queries = query.shape[2] or max_steps
    steps = values.shape[2] or max_steps
    if queries is None or steps is None:
        return None
    each = steps * (query.shape[-1] if additive else 1)
    if queries * each <= most_scores:
        return None
    return max(1, most_scores // (each * query.shape[1]))
