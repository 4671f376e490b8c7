"""Multi-head attention that never holds all scores of long sequences."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

from keras import ops

from kseq.checks import (
    check_bool,
    check_one_of,
    check_optional_int,
    check_positive_int,
    describe_inputs,
    raise_invalid,
)
from kseq.ops.backends import fused_attention, loop, may_be_any_true
from kseq.ops.dtypes import HALF_DTYPES, dtype_of
from kseq.ops.linear import linear
from kseq.ops.numerics import (
    MASKED_SCORE,
    l2_normalize,
    layer_normalize,
    step_numbers,
    tanh,
    upcast,
)
from kseq.ops.validation import (
    check_broadcastable,
    float_vector,
    known,
    takes,
)
from kseq.types import Tensor, Tensors

ATTENTION_TYPES = ("scaled_dot_product", "cos", "ln", "additive")

# The number of weights of the attention types that have weights.
WEIGHTS = {"ln": 4, "additive": 2}

# The largest score that float16 can hold, or that MASKED_SCORE outweighs.
HIGHEST_SCORE = {"float16": 3e4, "float32": 1e24}

# The limit for one head of one example: 1024 queries by 1024 keys.
MAX_SCORES = 1 << 20


@takes(
    query="float batch heads queries dim",
    keys="float batch heads steps dim",
    values="float batch heads steps dim",
    valid="bool batch steps",
    query_valid="bool batch queries",
    attention_mask="bool batch queries steps",
    attention_bias="float ...",
)
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
    max_scores: int = MAX_SCORES,
    query_valid: Tensor | None = None,
    causal: bool = False,
    window: int | None = None,
    attention_mask: Tensor | None = None,
    attention_bias: Tensor | None = None,
) -> Tensor:
    r"""Attention of each head's queries to its keys.

    $$y_{bhi} = \sum_j \mathrm{softmax}_j(s_{bhij})\, v_{bhj}$$

    over the valid keys $j$, with the score $s$ of query $q$ and key $k$

    - "scaled_dot_product": $q \cdot k / \sqrt{d}$;
    - "cos": $20 \cos(q, k)$;
    - "ln": as the first, after layer normalization of $q$ and $k$;
    - "additive": $v \cdot \tanh(q + k + b)$.

    Args:
        query: float `(batch, heads, queries, dim)`.
        keys: float `(batch, heads, steps, dim)`, cast to the dtype of `query`;
            0 in padded steps (see `kseq.ops.zero_padding`).
        values: as `keys`.
        valid: bool `(batch, steps)` of the keys.
        attention_type: one of the types above.
        weights: for "ln" gamma and beta of the queries, then of the keys; for
            "additive" $b$ and $v$; each float `(dim,)`.
        blinding: True: query $i$ does not attend to key $i$.
        dropout: a function applied to the softmax; all scores are then kept in
            memory. None: no dropout.
        max_steps: the largest number of queries or keys, used where one of
            them is unknown.
        max_scores: where a head of one example has more scores than this, the
            queries are processed in chunks, and again for the gradient, so that
            at most so many scores are in memory.
        query_valid: bool `(batch, queries)`; None: all queries are valid.
        causal: True: query $i$ attends to keys $j \le i$ only.
        window: query $i$ attends to keys with $|i - j| <$ `window` only; None:
            to all.
        attention_mask: bool `(batch, queries, steps)`, False where a query does
            not attend to a key; None: no further mask. Like a bias it takes
            memory for all pairs of steps.
        attention_bias: a term added to the scores, float, of rank 4 and
            broadcastable to `(batch, heads, queries, steps)`; or None.

    Returns:
        `(batch, heads, queries, dim)`; 0 for a query that is padded or has no
        key to attend to.

    Raises:
        ValueError: `attention_type` is unknown, a tensor has a wrong dtype,
            shapes or the number of weights do not fit, or another argument is
            out of range.

    Reference:
        Vaswani et al., [Attention Is All You
        Need](https://arxiv.org/abs/1706.03762), 2017, equation 1; Bahdanau et
        al., [Neural Machine Translation by Jointly Learning to Align and
        Translate](https://arxiv.org/abs/1409.0473), 2015 ("additive").

    Example:

    >>> import numpy as np
    >>> q = np.ones((2, 1, 3, 4), "float32")
    >>> k = np.ones((2, 1, 5, 4), "float32")
    >>> tuple(multi_head_attention(q, k, k, np.ones((2, 5), bool)).shape)
    (2, 1, 3, 4)
    """
    check_one_of("attention_type", attention_type, ATTENTION_TYPES)
    check_bool("blinding", blinding)
    check_bool("causal", causal)
    check_optional_int("window", window)
    if dropout is not None and not callable(dropout):
        raise_invalid("dropout", "a function or None", dropout)
    check_positive_int("max_scores", max_scores)
    check_optional_int("max_steps", max_steps)
    needed = WEIGHTS.get(attention_type, 0)
    if not isinstance(weights, (list, tuple)) or len(weights) != needed:
        expected = f"a tuple of {needed} tensors for {attention_type!r}"
        raise_invalid("weights", expected, describe_inputs(weights))
    keys, values = (ops.cast(x, query.dtype) for x in (keys, values))
    weights = tuple(
        float_vector(f"weights[{i}]", w, query.shape[-1])
        for i, w in enumerate(weights)
    )
    if query_valid is None:
        query_valid = ops.ones_like(query[:, 0, :, 0], "bool")
    terms = _score_terms(query, keys, attention_mask, attention_bias)
    offsets = Offsets(blinding, causal, window)
    factor = keys.shape[-1] ** -0.5
    if attention_type == "cos":
        query, keys, factor = l2_normalize(query), l2_normalize(keys), 20.0
    elif attention_type == "ln":
        query = layer_normalize(query, *weights[:2])
        keys = layer_normalize(keys, *weights[2:])
    score = _additive if attention_type == "additive" else _product
    if score is _product:
        query, weights = query * factor, ()
        if attention_type == "scaled_dot_product":  # the others are bounded
            query, keys, weights = _rescale(query, keys)
        if dropout is None and not terms:
            output = fused_attention(
                query, keys, values, query_valid, valid, offsets
            )
            if output is not None:
                return output
        keys = ops.transpose(keys, (0, 1, 3, 2))
    else:
        weights = tuple(ops.cast(w, query.dtype) for w in weights)
    at_key = step_numbers(values[:, 0])

    used = (keys, values, valid, at_key, *weights)
    step = _step(score, offsets)
    additive = score is _additive
    size = _chunk_size(query, values, additive, max_steps, max_scores)
    if size is None or dropout is not None:  # drawn again, it would differ
        queries = query, step_numbers(query[:, 0]), *terms
        (found,) = step(queries, (), used, dropout=dropout)
    else:
        found = _in_chunks(query, terms, size, used, step)
    return ops.where(query_valid[:, None, :, None], found, 0.0)


@dataclass(frozen=True)
class Offsets:
    """Which keys are hidden from a query, by their distance from it."""

    blinding: bool = False
    causal: bool = False
    window: int | None = None

    def __bool__(self) -> bool:
        return self != Offsets()

    def hidden(self, at_query: Tensor, at_key: Tensor) -> Tensor:
        """Bool of the numbers of queries and keys, broadcast."""
        distance = at_query - at_key
        conditions = [distance == 0] if self.blinding else []
        if self.causal:
            conditions.append(distance < 0)
        if self.window is not None:
            conditions.append(ops.abs(distance) >= self.window)
        return functools.reduce(ops.logical_or, conditions)


def _score_terms(
    query: Tensor,
    keys: Tensor,
    attention_mask: Tensor | None,
    bias: Tensor | None,
) -> tuple[Tensor, ...]:
    """What is added to scores: `(batch, heads or 1, queries, steps)` each."""
    terms: list[Tensor] = []
    if attention_mask is not None:
        terms.append(_penalty(ops.logical_not(attention_mask))[:, None])
    if bias is not None:
        sizes = (*query.shape[:3], keys.shape[2])
        if len(bias.shape) != 4:
            raise_invalid(
                "attention_bias", "a tensor of rank 4", tuple(bias.shape)
            )
        check_broadcastable("attention_bias", bias.shape, sizes)
        batch, _, queries, _ = ops.shape(query)
        # Of one head or of all; the loop over chunks needs the other axes.
        shape = batch, ops.shape(bias)[1], queries, ops.shape(keys)[2]
        bias = ops.broadcast_to(upcast(bias), shape)
        # Not -infinity, whose gradient would be NaN; NaN is kept.
        terms.append(ops.where(bias < MASKED_SCORE, MASKED_SCORE, bias))
    return tuple(terms)


def _rescale(
    query: Tensor, keys: Tensor
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Rescale query and keys so that scores cannot overflow.

    Mostly they are returned unchanged. Where a score of an example's head could
    overflow, both are reduced. In float16 (up to 65504) the third value is the
    factor that restores the scores in float32; in wider dtypes scores stay
    reduced, since they would outweigh MASKED_SCORE.
    """
    if 0 in query.shape or 0 in keys.shape:  # an empty tensor has no maximum
        return query, keys, ()
    half = dtype_of(query) == "float16"
    # Each factor by itself, since their product could overflow.
    unit = HIGHEST_SCORE["float16" if half else "float32"] ** -0.5

    def largest(x: Tensor) -> Tensor:
        x = upcast(ops.stop_gradient(x))
        return ops.amax(ops.abs(x), axis=(2, 3), keepdims=True) * unit

    excess = largest(query) * largest(keys) * query.shape[-1]
    if not may_be_any_true(excess > 1.0):
        return query, keys, ()
    excess = ops.where(excess > 1.0, excess, 1.0)
    # Shared by both, since a large key multiplies the query's gradient.
    each = ops.sqrt(excess)
    query, keys = (ops.cast(upcast(x) / each, x.dtype) for x in (query, keys))
    return query, keys, (excess,) if half else ()


def _attend(
    score: Callable[..., Tensor],
    offsets: Offsets,
    inputs: Tensors,
    states: Tensors,
    used: Tensors,
    dropout: Callable[[Tensor], Tensor] | None = None,
) -> Tensors:
    """Attention of some queries, as a step of the time loop over chunks."""
    query, at_query, *terms = inputs
    keys, values, valid, at_key, *weights = used
    scores = upcast(score(query, keys, *weights))
    padded = ops.logical_not(ops.cast(valid, "bool"))  # the loop takes floats
    penalty = _penalty(padded)[:, None, None, :]
    if offsets:
        hidden = offsets.hidden(at_query[:, :, None], at_key[:, None, :])
        penalty = penalty + _penalty(hidden)[:, None]
    for term in (penalty, *terms):
        scores = scores + ops.cast(term, scores.dtype)
    return (_weigh(scores, values, dropout),)


def _product(query: Tensor, keys: Tensor, *excess: Tensor) -> Tensor:
    """Scores of transposed keys, times the factor of `_rescale` if any."""
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
    """A term for the scores: MASKED_SCORE where hidden, else 0."""
    return ops.cast(hidden, "float32") * MASKED_SCORE


def _weigh(
    scores: Tensor,
    values: Tensor,
    dropout: Callable[[Tensor], Tensor] | None,
) -> Tensor:
    """The values averaged by the softmax of the scores; 0 for no valid key.

    Divided by the softmax's sum at the end, since there are fewer sums than
    scores.
    """
    if 0 in scores.shape:  # no backend has the maximum of an empty axis
        return ops.cast(scores, values.dtype) @ values
    highest = ops.stop_gradient(ops.amax(scores, axis=-1, keepdims=True))
    shown = ops.exp(scores - highest)
    total = ops.sum(shown, axis=-1, keepdims=True)
    if dtype_of(values) in HALF_DTYPES:  # a sum of values could overflow
        shown, total = ops.cast(shown / total, values.dtype), 1.0
    if dropout is not None:
        shown = dropout(shown)
    # In this order NaN, which is not lower, is kept.
    return ops.where(highest < MASKED_SCORE / 2, 0.0, shown @ values / total)


def _in_chunks(
    query: Tensor,
    terms: Tensors,
    size: int,
    used: Tensors,
    step: Callable[..., Tensors],
) -> Tensor:
    """Attention of `size` queries at a time, as steps of the time loop."""
    _, heads, queries, dim = ops.shape(query)
    # The last chunk is padded with dummy queries.
    chunks = (queries + size - 1) // size

    def chunked(x: Tensor) -> Tensor:
        """`(batch, heads, queries, n)` as `(batch, chunks, heads, size, n)`."""
        batch, heads, _, n = ops.shape(x)
        filling = ops.zeros((batch, heads, chunks * size - queries, n), x.dtype)
        x = ops.concatenate([x, filling], axis=2)
        x = ops.reshape(x, (-1, heads, chunks, size, n))
        return ops.transpose(x, (0, 2, 1, 3, 4))

    parts = chunked(query)
    at_query = step_numbers(
        ops.reshape(parts[:, :, 0], (-1, chunks * size, dim))
    )
    keys, values, valid, *others = used
    outputs, _ = loop(
        step,
        (
            parts,
            ops.reshape(at_query, (1, chunks, size)),
            *(chunked(term) for term in terms),
        ),
        (ops.zeros_like(parts[:, 0]),),
        (keys, values, ops.cast(valid, query.dtype), *others),
        recompute=True,
    )
    outputs = ops.transpose(outputs, (0, 2, 1, 3, 4))
    outputs = ops.reshape(outputs, (-1, heads, chunks * size, dim))
    return outputs[:, :, :queries]


# Each step is created once, so that a backend finds what it compiled of it.
STEPS: dict[tuple[Callable[..., Tensor], Offsets], Callable[..., Tensors]] = {}


def _step(
    score: Callable[..., Tensor], offsets: Offsets
) -> Callable[..., Tensors]:
    if (score, offsets) not in STEPS:
        STEPS[score, offsets] = functools.partial(_attend, score, offsets)
    return STEPS[score, offsets]


def _chunk_size(
    query: Tensor,
    values: Tensor,
    additive: bool,
    max_steps: int | None,
    max_scores: int,
) -> int | None:
    """The number of queries of a chunk; None: all at once."""
    queries = known(query.shape[2]) or max_steps
    steps = known(values.shape[2]) or max_steps
    if queries is None or steps is None:
        return None
    each = steps * (query.shape[-1] if additive else 1)
    if queries * each <= max_scores:
        return None
    return max(1, max_scores // (each * query.shape[1]))
