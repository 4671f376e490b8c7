import functools
import warnings
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from kseq.checks import (
    Unquoted,
    check_bool,
    check_known_dim,
    check_one_of,
    check_positive_int,
    check_rank,
    check_rate,
    check_same_dim,
    describe_inputs,
    is_shape,
    raise_invalid,
)
from kseq.layers.checked_layer import (
    check_fits,
    check_lengths,
)
from kseq.layers.core.layer_normalization import LayerNormalization
from kseq.layers.seeds import check_seed, nth_seed
from kseq.layers.sequence.position_encoding import PositionEncoding
from kseq.layers.sequence_layer import MaskedLayer
from kseq.ops.backends import by_groups
from kseq.ops.masks import resolve_mask, zero_padding
from kseq.ops.multi_head import ATTENTION_TYPES, multi_head_attention
from kseq.ops.numerics import linear
from kseq.ops.pooling import masked_mean, masked_sum
from kseq.types import Shape, Tensor

INPUTS = ("queries", "keys", "query_lengths", "key_lengths")
OUTPUT_TYPES = ("mean", "sum", "masked_mean", "masked_sum", None)


@keras.saving.register_keras_serializable(package="kseq")
class Transformer(MaskedLayer):
    r"""A block of multi-head attention and a feed forward net.

    $$a = \mathrm{attention}(q W_q,\, k W_k,\, k W_v) + q, \qquad
      y = \mathrm{ReLU}(a F_1) F_2 + a$$

    with positions added to queries and keys before, layer normalisation after
    each sum, and the mean or sum over the queries at the end; each of these can
    be left out. `kseq.ops.multi_head_attention` has the kinds of attention.

    Args:
        att_embedding_size: the width of a head.
        head_num: the number of heads. Together they are as wide as the input.
        dropout_rate: the fraction of attention weights and of hidden units
            dropped in training, in [0, 1).
        use_positional_encoding: whether to add trained positions.
        use_res: whether to add the queries to what attention found, and that to
            what the feed forward gives.
        use_feed_forward: whether to have the feed forward net. Without
            `use_res` what it computes is left out, as in DeepCTR.
        use_layer_norm: whether to normalise after attention and feed forward
            (one set of weights for both).
        blinding: True: step $i$ of the queries does not look at step $i$ of the
            keys.
        seed: the starting weights' and the dropout's seed, or None.
        supports_masking: True: masks say which steps count (and lengths too if
            they are given); False: lengths do, masks only without them.
        attention_type: 'scaled_dot_product', 'cos', 'ln' or 'additive'.
        output_type: 'mean', 'sum': over all rows of the queries, padded ones
            too, as in DeepCTR, so that with `use_res` what stands in their
            padding counts, NaN too; 'masked_mean', 'masked_sum': over those
            that count; None: the sequence itself.
        max_steps: the length of the tables of positions, where time is not
            known. It also tells then whether sequences are so long that
            attention takes its queries in groups.

    Call arguments:
        inputs: `[queries, keys, query_lengths, key_lengths]`, or
            `[queries, keys]` with masks. Queries `(batch, queries, dim)`, keys
            `(batch, steps, dim)`, lengths `(batch,)` or `(batch, 1)`.
        mask: `[query_mask, key_mask]`, bool `(batch, queries)` and
            `(batch, steps)`. None for the queries: all count.
        training: whether to drop.

    Returns:
        `(batch, 1, dim)`; with `output_type` None `(batch, queries, dim)`, 0
        for queries that do not count, and a mask of the queries is passed on
        (lengths are not: give them to the next block too). In the compute
        dtype. To a query that does not count, or for which no key is left,
        attention gives 0.

    Raises:
        ValueError: an argument is out of range, an input is no tensor of
            numbers, the heads do not fit the inputs' `dim`, shapes do not fit
            each other, or there are neither lengths nor a mask of the keys.

    Differences from DeepCTR:
        A query for which no key is left gets 0 from attention; DeepCTR spreads
        it evenly over all, padding included. Queries and keys may differ in
        steps in every mode, with blinding too. With `output_type` None the
        queries' mask is passed on, so that blocks can be stacked, and padded
        queries give 0. The reported shape is the real one. Where a head has
        more than 2**20 scores to an example (1024 queries and as many keys),
        they are not in memory all at once, except in training with dropout.

    Reference:
        Vaswani et al., Attention Is All You Need, 2017; Feng et al., Deep
        Session Interest Network, 2019, section 3.2.

    Example:

    >>> import numpy as np
    >>> from kseq.layers.sequence import Transformer
    >>> x, lengths = np.ones((2, 5, 8), "float32"), np.array([5, 2])
    >>> tuple(Transformer()([x, x, lengths, lengths]).shape)
    (2, 1, 8)
    """

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
        seed: int | None = 1024,
        supports_masking: bool = False,
        attention_type: str = "scaled_dot_product",
        output_type: str | None = "mean",
        max_steps: int | None = None,
        **kwargs: Any,
    ) -> None:
        att_embedding_size = check_positive_int(
            "att_embedding_size", att_embedding_size
        )
        head_num = check_positive_int("head_num", head_num)
        dropout_rate = check_rate("dropout_rate", dropout_rate)
        for name, value in (
            ("use_positional_encoding", use_positional_encoding),
            ("use_res", use_res),
            ("use_feed_forward", use_feed_forward),
            ("use_layer_norm", use_layer_norm),
            ("blinding", blinding),
        ):
            check_bool(name, value)
        seed = check_seed(seed)
        check_one_of("attention_type", attention_type, ATTENTION_TYPES)
        check_one_of("output_type", output_type, OUTPUT_TYPES)
        if max_steps is not None:
            max_steps = check_positive_int("max_steps", max_steps)
        if attention_type == "ln" and att_embedding_size == 1:
            warnings.warn(
                "attention_type 'ln' with att_embedding_size 1 normalises a "
                "single number, which gives uniform attention",
                stacklevel=2,
            )
        super().__init__(supports_masking, **kwargs)
        self.att_embedding_size = att_embedding_size
        self.head_num = head_num
        self.dropout_rate = dropout_rate
        self.use_positional_encoding = use_positional_encoding
        self.use_res = use_res
        self.use_feed_forward = use_feed_forward
        self.use_layer_norm = use_layer_norm
        self.blinding = blinding
        self.seed = seed
        self.attention_type = attention_type
        self.output_type = output_type
        self.max_steps = max_steps

    def named(self, inputs: Any) -> dict[str, Any]:
        ok = isinstance(inputs, (list, tuple)) and not is_shape(inputs)
        if not ok or len(inputs) not in (2, 4):
            raise_invalid(
                "inputs",
                "[queries, keys, query_lengths, key_lengths], or "
                "[queries, keys] with masks",
                describe_inputs(inputs),
            )
        return dict(zip(INPUTS, inputs, strict=False))

    def split(self, inputs: Any) -> tuple[Any, ...]:
        """Queries, keys, and their lengths or None; of tensors or shapes."""
        found = self.named(inputs)
        return tuple(found.get(name) for name in INPUTS)

    def check_shapes(self, shapes: dict[str, Shape]) -> None:
        queries, keys = shapes["queries"], shapes["keys"]
        self._check_features(queries, keys)
        if "key_lengths" in shapes:
            lengths = shapes["query_lengths"]
            check_lengths("query_lengths", lengths, queries=queries)
            check_lengths("key_lengths", shapes["key_lengths"], keys=keys)
        if self.built and self.use_positional_encoding:
            self.query_pe.check_shapes({"inputs": queries})
            self.key_pe.check_shapes({"inputs": keys})

    def check_mask(self, mask: Any, tensors: dict[str, Any]) -> None:
        query_mask, key_mask = self._masks(mask)
        check_fits(query_mask, rank=2, queries=tensors["queries"])
        check_fits(key_mask, rank=2, keys=tensors["keys"])

    def valid_steps(self, inputs: Any, mask: Any) -> tuple[Tensor, Tensor]:
        """Which queries and which keys count."""
        self.check_steps_told(inputs, mask)
        queries, keys, query_lengths, key_lengths = self.split(inputs)
        query_mask, key_mask = self._masks(mask)
        if key_lengths is not None and not self.prefers_mask:
            query_mask = key_mask = None
        return (
            resolve_mask(queries, query_mask, query_lengths),
            resolve_mask(keys, key_mask, key_lengths),
        )

    def check_steps_told(self, inputs: Any, mask: Any) -> None:
        """Refuse a call with neither lengths nor a mask of the keys."""
        if self.split(inputs)[3] is None and self._masks(mask)[1] is None:
            raise_invalid(
                self.name,
                "lengths among the inputs, or a mask of keys (mask=[..., ...], "
                "or from Embedding(mask_zero=True) or Masking)",
                Unquoted("neither"),
            )

    def _masks(self, mask: Any) -> tuple[Any, Any]:
        if mask is None:
            return None, None
        if not isinstance(mask, (list, tuple)) or len(mask) not in (2, 4):
            raise_invalid(
                "mask", "[query_mask, key_mask]", describe_inputs(mask)
            )
        return mask[0], mask[1]

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        queries, keys, *_ = self.split(input_shape)
        dim = queries[-1]
        normal, uniform = (
            keras.initializers.TruncatedNormal,
            keras.initializers.GlorotUniform,
        )
        head = (self.att_embedding_size,)
        self.query_kernel = self._weight("query", (dim, dim), normal, 0)
        self.key_kernel = self._weight("key", (dim, dim), normal, 1)
        self.value_kernel = self._weight("value", (dim, dim), normal, 2)
        if self.attention_type == "additive":
            self.b = self._weight("b", head, uniform, 3)
            self.v = self._weight("v", head, uniform, 4)
        if self.use_feed_forward:
            self.fw1 = self._weight("fw1", (dim, 4 * dim), uniform, 5)
            self.fw2 = self._weight("fw2", (4 * dim, dim), uniform, 6)
        # DeepCTR's order of sublayers, which is its weights' order.
        if self.attention_type == "ln":
            self.att_ln_q = self._layer_norm("att_ln_q", head)
            self.att_ln_k = self._layer_norm("att_ln_k", head)
        if self.use_layer_norm:
            self.ln = self._layer_norm("layer_normalization", (dim,))
        if self.use_positional_encoding:
            self.query_pe = self._positions("query_positions", queries)
            self.key_pe = self._positions("key_positions", keys)
        if self.dropout_rate:
            self.dropout = keras.layers.Dropout(
                self.dropout_rate,
                seed=self.seed,
                dtype=self.dtype_policy,
                name="dropout",
            )

    def _check_features(self, queries: Shape, keys: Shape) -> None:
        check_rank("queries", queries, (3,))
        check_rank("keys", keys, (3,))
        check_same_dim(0, queries=queries, keys=keys)
        check_same_dim(-1, queries=queries, keys=keys)
        dim = check_known_dim("queries", queries, -1)
        if self.att_embedding_size * self.head_num != dim:
            raise_invalid(
                "att_embedding_size * head_num",
                f"the width of the inputs, {dim}",
                Unquoted(f"{self.att_embedding_size} * {self.head_num}"),
            )

    def _weight(
        self, name: str, shape: tuple[int, ...], initializer: Any, i: int
    ) -> Any:
        return self.add_weight(
            shape=shape,
            initializer=initializer(seed=nth_seed(self.seed, i)),
            name=name,
        )

    def _layer_norm(self, name: str, shape: tuple[int, ...]) -> Any:
        layer = LayerNormalization(dtype=self.dtype_policy, name=name)
        layer.build(shape)
        return layer

    def _positions(self, name: str, shape: Shape) -> Any:
        layer = PositionEncoding(
            max_steps=self.max_steps, dtype=self.dtype_policy, name=name
        )
        layer.build(shape)
        return layer

    def call(
        self, inputs: Any, mask: Any = None, training: bool | None = None
    ) -> Tensor:
        queries, keys, *_ = self.split(inputs)
        queries = ops.cast(queries, self.compute_dtype)
        keys = ops.cast(keys, self.compute_dtype)
        query_valid, valid = self.valid_steps(inputs, mask)
        keys = zero_padding(keys, valid)
        if self.output_type not in ("mean", "sum"):
            queries = zero_padding(queries, query_valid)
        if self.use_positional_encoding:
            queries, keys = self.query_pe(queries), self.key_pe(keys)

        # Zeros in padded queries: what stands there would have no part in the
        # result, but in the gradient 0 times NaN is NaN.
        asked = zero_padding(queries, query_valid)
        dropout = None
        if self.dropout_rate and training:
            dropout = functools.partial(self.dropout, training=True)
        # Of all: how long those of a group are is not known.
        steps = [x.shape[1] or self.max_steps for x in (queries, keys)]
        known = [n for n in steps if n is not None]
        attend = functools.partial(
            self._attention,
            dropout=dropout,
            max_steps=max(known) if known == steps else None,
        )
        made: tuple[int, ...] = (self.head_num,)  # scores
        if self.attention_type == "additive":
            made = (self.head_num, self.att_embedding_size)
        result = by_groups(
            attend,
            (),
            (asked, keys),
            (query_valid, valid),
            made,
            training,
            gives_steps=True,
        )
        if self.use_res:
            result = result + queries
        result = self._normalize(result)
        if self.use_feed_forward and self.use_res:
            result = self._normalize(
                result + self._feed_forward(result, training)
            )
        elif self.use_feed_forward:  # DeepCTR normalises once more
            result = self._normalize(result)
        return self._pool(result, query_valid)

    def _attention(
        self,
        queries: Tensor,
        keys: Tensor,
        query_valid: Tensor,
        valid: Tensor,
        dropout: Callable[[Tensor], Tensor] | None,
        max_steps: int | None,
    ) -> Tensor:
        weights: tuple[Any, ...] = ()
        if self.attention_type == "additive":
            weights = self.b, self.v
        elif self.attention_type == "ln":
            norms = self.att_ln_q, self.att_ln_k
            weights = tuple(w for n in norms for w in (n.gamma, n.beta))
        result = multi_head_attention(
            self._heads(queries, self.query_kernel),
            self._heads(keys, self.key_kernel),
            self._heads(keys, self.value_kernel),
            valid,
            self.attention_type,
            weights,
            self.blinding,
            dropout,
            max_steps,
            query_valid=query_valid,
        )
        result = ops.transpose(result, (0, 2, 1, 3))
        return ops.reshape(result, ops.shape(queries))

    def _heads(self, x: Tensor, kernel: Any) -> Tensor:
        """`(batch, heads, steps, width of a head)`."""
        batch, steps, _ = ops.shape(x)
        x = linear(x, kernel)
        x = ops.reshape(
            x, (batch, steps, self.head_num, self.att_embedding_size)
        )
        return ops.transpose(x, (0, 2, 1, 3))

    def _feed_forward(self, x: Tensor, training: bool | None) -> Tensor:
        hidden = ops.relu(linear(x, self.fw1))
        if self.dropout_rate:
            hidden = self.dropout(hidden, training=training)
        return linear(hidden, self.fw2)

    def _normalize(self, x: Tensor) -> Tensor:
        return self.ln(x) if self.use_layer_norm else x

    def _pool(self, x: Tensor, valid: Tensor) -> Tensor:
        if self.output_type is None:
            return zero_padding(x, valid)
        if self.output_type in ("mean", "sum"):
            valid = ops.ones_like(valid)
        pool = masked_sum if "sum" in self.output_type else masked_mean
        return ops.expand_dims(pool(x, valid), 1)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        queries, _, query_lengths, _ = self.split(inputs)
        query_mask, _ = self._masks(mask)
        if self.output_type is not None:
            return None
        return self.mask_to_pass(queries, query_mask, query_lengths)

    def shape_of_output(self, input_shape: Any) -> Shape:
        queries, *_ = self.split(input_shape)
        steps = queries[1] if self.output_type is None else 1
        return (queries[0], steps, queries[2])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "att_embedding_size": self.att_embedding_size,
            "head_num": self.head_num,
            "dropout_rate": self.dropout_rate,
            "use_positional_encoding": self.use_positional_encoding,
            "use_res": self.use_res,
            "use_feed_forward": self.use_feed_forward,
            "use_layer_norm": self.use_layer_norm,
            "blinding": self.blinding,
            "seed": self.seed,
            "supports_masking": self.prefers_mask,
            "attention_type": self.attention_type,
            "output_type": self.output_type,
            "max_steps": self.max_steps,
        }
