import functools
import warnings
from typing import Any

import keras
from keras import ops

from kseq.checks import (
    check_bool,
    check_known_dim,
    check_one_of,
    check_optional_int,
    check_positive_int,
    check_rate,
    raise_invalid,
)
from kseq.layers.base import SequenceLayer, first_mask
from kseq.layers.core.layer_normalization import LayerNormalization
from kseq.layers.sequence.position_encoding import PositionEncoding
from kseq.ops.backends import map_buckets
from kseq.ops.linear import linear
from kseq.ops.masks import resolve_mask, zero_padding
from kseq.ops.multi_head import ATTENTION_TYPES, multi_head_attention
from kseq.ops.pooling import masked_mean, masked_sum
from kseq.ops.validation import known, takes
from kseq.types import InitializerLike, RegularizerLike, Shape, Tensor

OUTPUT_TYPES = ("mean", "sum", "masked_mean", "masked_sum", None)


@keras.saving.register_keras_serializable(package="kseq")
class Transformer(SequenceLayer):
    r"""A Transformer block: multi-head attention and a feed-forward network.

    $$a = \mathrm{attention}(q W_q,\, k W_k,\, k W_v) + q, \qquad
      y = \mathrm{ReLU}(a F_1) F_2 + a$$

    with positions added to queries and keys before, layer normalization after
    each sum, and the mean or sum over the queries at the end; each of these is
    optional. `kseq.ops.multi_head_attention` defines the attention types.

    Values in padded steps have no effect, except where `output_type` is "mean"
    (the default) or "sum" and `use_res` is True: these pool over all rows of
    the queries, as in DeepCTR, so that values in padded queries, even NaN,
    reach the output. Use "masked_mean" or "masked_sum" to exclude them.

    Args:
        att_embedding_size: the width of a head.
        head_num: the number of heads; together they are as wide as the input.
        dropout_rate: the fraction of attention weights and of hidden units
            dropped in training, in [0, 1).
        use_positional_encoding: whether to add trained positions.
        use_res: whether to add the queries to the attention's output, and that
            sum to the feed-forward network's output.
        use_feed_forward: whether to apply the feed-forward network; it has an
            effect with `use_res` only, as in DeepCTR.
        use_layer_norm: whether to normalize after attention and feed-forward
            network (one set of weights for both).
        blinding: True: query $i$ does not attend to key $i$.
        seed: the seed of initial weights and dropout, or None.
        supports_masking: for DeepCTR's list with lengths: False: masks are
            ignored; True: lengths and masks are combined.
        attention_type: 'scaled_dot_product', 'cos', 'ln' or 'additive'.
        output_type: 'mean', 'sum': over all rows of the queries; 'masked_mean',
            'masked_sum': over the valid ones; None: the sequence itself.
        max_steps: the length of the position tables, required where the number
            of steps is unknown. There, it also decides whether attention
            processes the queries in chunks.
        window: query $i$ attends to keys with $|i - j| <$ `window` only; None:
            to all.
        kernel_initializer: the initializer of all kernels; None: truncated
            normal for the attention, Glorot uniform for the rest.
        kernel_regularizer: the penalty of all kernels, or None.

    Call arguments:
        queries: `(batch, queries, dim)`. DeepCTR's list is `[queries, keys,
            query_lengths, key_lengths]`, or `[queries, keys]` with masks.
        keys: `(batch, steps, dim)`; None: self-attention.
        query_lengths: `(batch,)` or `(batch, 1)`, integers or whole floats,
            clipped to [0, queries].
        key_lengths: the same of the keys.
        mask: bool `(batch, queries)` of the queries (for a list, `[query_mask,
            key_mask]`). Without mask and lengths all queries are valid.
        keys_mask: bool `(batch, steps)`. Required without key lengths; with
            them a step is valid if both include it.
        attention_mask: bool `(batch, queries, steps)`, False where a query does
            not attend to a key.
        attention_bias: a term added to the scores, float, of rank 4 and
            broadcastable to `(batch, heads, queries, steps)`.
        use_causal_mask: True: query $i$ attends to keys $j \le i$ only.
        training: whether to apply dropout.

    Returns:
        `(batch, 1, dim)`; with `output_type` None `(batch, queries, dim)`, 0
        for padded queries, and without lengths the queries' mask is propagated.
        In the compute dtype. The attention's output is 0 for a query that is
        padded or has no valid key.

    Raises:
        ValueError: an argument is out of range, the heads do not fit `dim`, the
            inputs' shapes do not fit each other or those at build time, or
            neither lengths nor a mask of the keys is given.

    Differences from DeepCTR:
        A query without valid keys gets 0 from the attention; DeepCTR's gets the
        mean of all keys, padding included. Queries and keys may differ in
        steps, with blinding too. With `output_type` None masks are propagated,
        so that blocks can be stacked, and padded queries give 0. The reported
        shape is the actual one. With `use_res=False` there are no weights of
        the feed-forward network, which has no effect there; DeepCTR creates
        them. Where a head has more than 2**20 scores for an example, they are
        not all in memory at once, except in training with dropout.

    Reference:
        Vaswani et al., [Attention Is All You
        Need](https://arxiv.org/abs/1706.03762), 2017; Feng et al., [Deep
        Session Interest Network](https://arxiv.org/abs/1905.06482), 2019,
        section 3.2.

    Example:

    >>> import numpy as np
    >>> from kseq.layers.sequence import Transformer
    >>> x, lengths = np.ones((2, 5, 8), "float32"), np.array([5, 2])
    >>> tuple(Transformer()(x, query_lengths=lengths).shape)
    (2, 1, 8)
    """

    deepctr_inputs = ("queries", "keys", "query_lengths", "key_lengths")
    masked_input = "queries"

    def __init__(
        self,
        att_embedding_size: int = 1,
        head_num: int = 8,
        dropout_rate: float = 0.0,
        use_positional_encoding: bool = True,
        use_res: bool = True,
        use_feed_forward: bool = True,
        use_layer_norm: bool = False,
        blinding: bool = True,
        seed: int | None = None,
        supports_masking: bool = False,
        attention_type: str = "scaled_dot_product",
        output_type: str | None = "mean",
        max_steps: int | None = None,
        window: int | None = None,
        kernel_initializer: InitializerLike | None = None,
        kernel_regularizer: RegularizerLike | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(supports_masking, **kwargs)
        self.att_embedding_size = check_positive_int(
            "att_embedding_size", att_embedding_size
        )
        self.head_num = check_positive_int("head_num", head_num)
        self.dropout_rate = check_rate("dropout_rate", dropout_rate)
        self.use_positional_encoding = check_bool(
            "use_positional_encoding", use_positional_encoding
        )
        self.use_res = check_bool("use_res", use_res)
        self.use_feed_forward = check_bool("use_feed_forward", use_feed_forward)
        self.use_layer_norm = check_bool("use_layer_norm", use_layer_norm)
        self.blinding = check_bool("blinding", blinding)
        self.attention_type = check_one_of(
            "attention_type", attention_type, ATTENTION_TYPES
        )
        self.output_type = check_one_of(
            "output_type", output_type, OUTPUT_TYPES
        )
        self.max_steps = check_optional_int("max_steps", max_steps)
        self.window = check_optional_int("window", window)
        self.set_kernel_options(seed, kernel_initializer, kernel_regularizer)
        self.keeps_steps = output_type is None
        if attention_type == "ln" and att_embedding_size == 1:
            warnings.warn(
                "attention_type 'ln' with att_embedding_size 1 normalizes a "
                "single number, which gives uniform attention",
                stacklevel=2,
            )

    @property
    def unused_deepctr_weights(self) -> dict[str, int]:
        """Weights that DeepCTR creates without effect: place by name."""
        if self.use_res or not self.use_feed_forward:
            return {}
        first = 5 if self.attention_type == "additive" else 3
        return {"fw1": first, "fw2": first + 1}

    def build(
        self, queries_shape: Shape, keys_shape: Shape | None = None
    ) -> None:
        keys_shape = keys_shape or queries_shape
        dim = check_known_dim("queries", queries_shape, -1)
        if self.att_embedding_size * self.head_num != dim:
            raise_invalid(
                "att_embedding_size * head_num",
                f"the width of the inputs, {dim}",
                self.att_embedding_size * self.head_num,
            )
        normal = keras.initializers.TruncatedNormal
        uniform = keras.initializers.GlorotUniform
        head = (self.att_embedding_size,)
        self.query_kernel = self.add_kernel("query", (dim, dim), normal, 0)
        self.key_kernel = self.add_kernel("key", (dim, dim), normal, 1)
        self.value_kernel = self.add_kernel("value", (dim, dim), normal, 2)
        if self.attention_type == "additive":
            self.b = self.add_kernel("b", head, uniform, 3)
            self.v = self.add_kernel("v", head, uniform, 4)
        if self.use_feed_forward and self.use_res:
            self.fw1 = self.add_kernel("fw1", (dim, 4 * dim), uniform, 5)
            self.fw2 = self.add_kernel("fw2", (4 * dim, dim), uniform, 6)
        norm = functools.partial(self.add_sublayer, LayerNormalization)
        # DeepCTR's order of sublayers, which is its weights' order.
        if self.attention_type == "ln":
            self.att_ln_q = norm("att_ln_q", head)
            self.att_ln_k = norm("att_ln_k", head)
        if self.use_layer_norm:
            self.ln = norm("layer_normalization", (dim,))
        if self.use_positional_encoding:
            positions = functools.partial(
                self.add_sublayer, PositionEncoding, max_steps=self.max_steps
            )
            self.query_pe = positions("query_positions", queries_shape)
            self.key_pe = positions("key_positions", keys_shape)
        if self.dropout_rate:
            self.dropout = self.add_sublayer(
                keras.layers.Dropout,
                "dropout",
                rate=self.dropout_rate,
                seed=self.seed,
            )

    @takes(
        queries="any batch queries dim",
        keys="any batch steps dim",
        query_lengths="lengths batch",
        key_lengths="lengths batch",
        attention_mask="bool batch queries steps",
        attention_bias="float ...",
    )
    def call(
        self,
        queries: Tensor,
        keys: Tensor | None = None,
        query_lengths: Tensor | None = None,
        key_lengths: Tensor | None = None,
        mask: Tensor | None = None,
        queries_mask: Tensor | None = None,
        keys_mask: Tensor | None = None,
        attention_mask: Tensor | None = None,
        attention_bias: Tensor | None = None,
        use_causal_mask: bool = False,
        training: bool | None = None,
    ) -> Tensor:
        mask = first_mask(mask, queries_mask)
        if keys is None:  # self-attention
            keys = queries
            key_lengths = query_lengths if key_lengths is None else key_lengths
            keys_mask = first_mask(keys_mask, mask)
        key_valid = self.valid_steps(keys, key_lengths, keys_mask)
        query_valid = resolve_mask(queries, mask, query_lengths)
        queries, keys = (
            ops.cast(x, self.compute_dtype) for x in (queries, keys)
        )
        keys = zero_padding(keys, key_valid)
        if self.output_type not in ("mean", "sum"):
            queries = zero_padding(queries, query_valid)
        if self.use_positional_encoding:
            queries, keys = self.query_pe(queries), self.key_pe(keys)

        result = self._attention(
            queries,
            keys,
            query_valid,
            key_valid,
            training,
            causal=check_bool("use_causal_mask", use_causal_mask),
            attention_mask=attention_mask,
            attention_bias=attention_bias,
        )
        if self.use_res:
            result = result + queries
        result = self._normalize(result)
        if self.use_feed_forward and self.use_res:
            hidden = ops.relu(linear(result, self.fw1))
            if self.dropout_rate:
                hidden = self.dropout(hidden, training=training)
            result = result + linear(hidden, self.fw2)
        if self.use_feed_forward:  # without use_res too, as DeepCTR does
            result = self._normalize(result)
        return self._pool(result, query_valid)

    def _attention(
        self,
        queries: Tensor,
        keys: Tensor,
        query_valid: Tensor,
        key_valid: Tensor,
        training: bool | None,
        **options: Any,
    ) -> Tensor:
        weights: tuple[Any, ...] = ()
        if self.attention_type == "additive":
            weights = self.b, self.v
        elif self.attention_type == "ln":
            norms = self.att_ln_q, self.att_ln_k
            weights = tuple(w for n in norms for w in (n.gamma, n.beta))
        dropout = None
        if self.dropout_rate and training:
            dropout = functools.partial(self.dropout, training=True)
        # Sizes of the whole tensors; the sizes of a bucket may be unknown.
        steps = [
            known(x.shape[1]) or self.max_steps or 0 for x in (queries, keys)
        ]

        def attend(
            queries: Tensor, keys: Tensor, query_valid: Tensor, valid: Tensor
        ) -> Tensor:
            result = multi_head_attention(
                self._heads(queries, self.query_kernel),
                self._heads(keys, self.key_kernel),
                self._heads(keys, self.value_kernel),
                valid,
                self.attention_type,
                weights,
                self.blinding,
                dropout,
                max(steps) if all(steps) else None,
                query_valid=query_valid,
                window=self.window,
                **options,
            )
            result = ops.transpose(result, (0, 2, 1, 3))
            return ops.reshape(result, ops.shape(queries))

        # Padded queries do not affect the result, but NaN in them would reach
        # the gradient (0 * NaN is NaN).
        queries = zero_padding(queries, query_valid)
        pairs = options["attention_mask"], options["attention_bias"]
        if any(x is not None for x in pairs):
            return attend(queries, keys, query_valid, key_valid)
        additive = self.attention_type == "additive"
        return map_buckets(
            attend,
            (),
            (queries, keys),
            (query_valid, key_valid),
            self.head_num * (self.att_embedding_size if additive else 1),
            training,
            returns_sequence=True,
        )

    def _heads(self, x: Tensor, kernel: Any) -> Tensor:
        """`(batch, heads, steps, width of a head)`."""
        batch, steps, _ = ops.shape(x)
        x = linear(x, kernel)
        x = ops.reshape(
            x, (batch, steps, self.head_num, self.att_embedding_size)
        )
        return ops.transpose(x, (0, 2, 1, 3))

    def _normalize(self, x: Tensor) -> Tensor:
        return self.ln(x) if self.use_layer_norm else x

    def _pool(self, x: Tensor, valid: Tensor) -> Tensor:
        if self.output_type is None:
            return zero_padding(x, valid)
        if self.output_type in ("mean", "sum"):
            valid = ops.ones_like(valid)
        pool = masked_sum if "sum" in self.output_type else masked_mean
        return ops.expand_dims(pool(x, valid), 1)

    def compute_output_shape(
        self, queries_shape: Shape, keys_shape: Shape | None = None
    ) -> Shape:
        batch, steps, dim = queries_shape
        return (batch, steps if self.output_type is None else 1, dim)
