"""The Transformer's attention, without all its scores in memory at once."""

import functools
from collections.abc import Callable

from keras import ops

from kseq.checks import (
    check_bool,
    check_one_of,
    check_positive_int,
    raise_invalid,
)
from kseq.ops.arguments import (
    Sizes,
    check_axes,
    check_function,
    to_bools,
    to_floats,
    to_floats_each,
)
from kseq.ops.backends import fused_attention, loop, may_be
from kseq.ops.dtypes import HALF_DTYPES, dtype_of
from kseq.ops.numerics import (
    NEVER,
    l2_normalize,
    layer_normalize,
    linear,
    step_numbers,
    tanh,
    upcast,
)
from kseq.types import Tensor, Tensors

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
        query: float `(batch, heads, queries, dim)`.
        keys: float `(batch, heads, steps, dim)`, taken in the dtype of `query`;
            0 in steps that do not count: see `kseq.ops.zero_padding`.
        values: as `keys`.
        valid: bool `(batch, steps)` of the keys.
        attention_type: one of those above.
        weights: "ln": gamma and beta of the queries, then of the keys;
            "additive": $b$ and $v$; each float `(dim,)`.
        blinding: True: step $i$ does not look at step $i$.
        dropout: applied to the softmax, or None. With it all scores are kept.
        max_steps: where the number of queries or keys is not known (else it is
            not looked at): the most there can be.
        most_scores: where one head of one example has more scores than this,
            queries are taken in groups, one after the other, and again for the
            gradient: so many scores are never in memory at once.
        query_valid: bool `(batch, queries)` of the queries that count; None:
            all do.

    Returns:
        `(batch, heads, queries, dim)`; 0 for a query that does not count or
        finds no key that does.

    Raises:
        ValueError: `attention_type` is none of those above, a tensor is not of
            floats or a mask none, ranks, sizes or the number of weights do not
            fit, or another argument is out of range.

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
    check_bool("blinding", blinding)
    check_function("dropout", dropout)
    check_positive_int("most_scores", most_scores)
    sizes: Sizes = {}
    axes = ("batch", "heads", "queries", "dim")
    query = to_floats("query", query, axes, sizes)
    axes = ("batch", "heads", "steps", "dim")
    keys = ops.cast(to_floats("keys", keys, axes, sizes), query.dtype)
    values = ops.cast(to_floats("values", values, axes, sizes), query.dtype)
    if max_steps is not None and None in (sizes["queries"], sizes["steps"]):
        check_positive_int("max_steps", max_steps)
    needed = WEIGHTS.get(attention_type, 0)
    if not isinstance(weights, (list, tuple)) or len(weights) != needed:
        raise_invalid(
            "weights", f"{needed} of them for {attention_type!r}", weights
        )
    weights = to_floats_each("weights", weights, [("dim",)] * needed, sizes)
    valid = to_bools("valid", valid)
    check_axes("valid", valid.shape, ("batch", "steps"), sizes)
    if query_valid is None:
        query_valid = ops.ones_like(query[:, 0, :, 0], "bool")
    query_valid = to_bools("query_valid", query_valid)
    check_axes("query_valid", query_valid.shape, ("batch", "queries"), sizes)
    factor = keys.shape[-1] ** -0.5
    if attention_type == "cos":
        query, keys, factor = l2_normalize(query), l2_normalize(keys), 20.0
    elif attention_type == "ln":
        query = layer_normalize(query, *weights[:2])
        keys = layer_normalize(keys, *weights[2:])
    score = _additive if attention_type == "additive" else _product
    if score is _product:
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
    else:
        weights = tuple(ops.cast(w, query.dtype) for w in weights)
    at_key = step_numbers(values[:, 0])

    used = (keys, values, valid, at_key, *weights)
    additive = score is _additive
    size = _group_size(query, values, additive, max_steps, most_scores)
    if size is None or dropout is not None:  # drawn anew, it would differ
        at_query = step_numbers(query[:, 0])
        found = _attend(
            query,
            at_query,
            *used,
            score=score,
            blinding=blinding,
            dropout=dropout,
        )
    else:
        found = _by_groups(query, size, used, GROUPS[score, blinding])
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


def _attend(
    query: Tensor,
    at_query: Tensor,
    keys: Tensor,
    values: Tensor,
    allowed: Tensor,
    at_key: Tensor,
    *weights: Tensor,
    score: Callable[..., Tensor],
    blinding: bool,
    dropout: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """What some queries find, by `score(query, keys, *weights)`."""
    scores = upcast(score(query, keys, *weights))
    penalty = _penalty(ops.logical_not(allowed))[:, None, None, :]
    if blinding:
        itself = at_query[:, :, None] == at_key[:, None, :]
        penalty = penalty + _penalty(itself)[:, None]
    scores = scores + ops.cast(penalty, scores.dtype)
    return _weigh(scores, values, dropout)


def _product(query: Tensor, keys: Tensor, *excess: Tensor) -> Tensor:
    """Scores of keys that are transposed; larger by an excess, if any."""
    scores = query @ keys
    for factor in excess:
        scores = upcast(scores) * factor
    return scores


def _additive(
    query: Tensor, keys: Tensor, bias: Tensor, vector: Tensor
) -> Tensor:
    both = query[:, :, :, None] + keys[:, :, None] + bias
    return linear(tanh(both), vector[:, None])[..., 0]


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
        return ops.cast(scores, values.dtype) @ values
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
    query: Tensor, size: int, used: Tensors, step: Callable[..., Tensors]
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


def _group(
    score: Callable[..., Tensor],
    blinding: bool,
    inputs: Tensors,
    states: Tensors,
    used: Tensors,
) -> Tensors:
    """The loop's step: a group of queries."""
    keys, values, valid, *weights = used
    found = _attend(
        *inputs,
        keys,
        values,
        valid > 0,
        *weights,
        score=score,
        blinding=blinding,
    )
    return (found,)


# Made once: what a backend compiled of a step is found again.
GROUPS = {
    (score, blinding): functools.partial(_group, score, blinding)
    for score in (_product, _additive)
    for blinding in (False, True)
}


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
