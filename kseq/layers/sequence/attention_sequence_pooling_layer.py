from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kseq.checks import check_bool, check_positive_ints
from kseq.layers.base import SequenceLayer
from kseq.layers.core.activation import check_activation
from kseq.layers.core.local_activation_unit import LocalActivationUnit
from kseq.ops.attention import attention_pool, attention_weights
from kseq.ops.backends import map_buckets
from kseq.ops.masks import zero_padding
from kseq.ops.validation import takes
from kseq.types import ActivationLike, Shape, Tensor


@keras.saving.register_keras_serializable(package="kseq")
class AttentionSequencePoolingLayer(SequenceLayer):
    r"""Sums a history's steps, weighted by relevance to a candidate, as in DIN.

    $$y_{bk} = \sum_t a_{bkt}\, x_{bt}, \qquad
      a_{bkt} = m_{bt} s_{bkt} \;\text{ or }\;
      \frac{m_{bt} e^{s_{bkt}}}{\sum_u m_{bu} e^{s_{bku}}}$$

    where $s_{bkt}$ is `LocalActivationUnit`'s score of step $t$ for candidate
    $k$, and $m_{bt}$ = 1 where step $t$ of history $b$ is valid, else 0. An
    empty history gives 0. Values in padded steps have no effect.

    Args:
        att_hidden_units: the widths of the scorer's hidden layers.
        att_activation: their activation: the name of a Keras activation,
            'dice', a function, or a Keras layer or its class, of which every
            hidden layer gets a copy.
        weight_normalization: False: the weights are the scores, as in the
            paper; True: a softmax of the scores over the valid steps.
        return_score: True: the output is the weights and not the weighted sum.
        supports_masking: for DeepCTR's list with lengths: False: masks are
            ignored; True: lengths and masks are combined.
        seed: the scorer's seed, an integer or None.
        l2_reg: the strength of the L2 penalty on the kernels of the scorer's
            hidden layers.
        dropout_rate: the fraction of their units dropped in training.
        use_bn: whether they have batch normalisation before the activation; its
            statistics leave out padding.

    Call arguments:
        query: `(batch, candidates, dim)`. DeepCTR's list is `[query, keys,
            lengths]`, or `[query, keys]` with a mask.
        keys: `(batch, steps, dim)`; `steps` may be unknown.
        lengths: `(batch,)` or `(batch, 1)`, integers or whole floats, clipped
            to [0, steps].
        keys_mask: bool `(batch, steps)`. Required without lengths; with lengths
            a step is valid if both include it.
        training: whether to apply dropout and use the batch's statistics.
        return_attention_scores: True: output and weights are both returned,
            whatever the value of `return_score`.
        candidates_mask: bool `(batch, candidates)`, or None: padding among the
            candidates, which batch statistics leave out.

    Returns:
        `(batch, candidates, dim)`; with `return_score`, the weights `(batch,
        candidates, steps)`; with `return_attention_scores`, both as a tuple.
        In the compute dtype, without a mask.

    Raises:
        ValueError: an argument is out of range, the inputs' shapes do not fit
            each other or those at build time, or neither lengths nor a mask is
            given.

    Differences from DeepCTR:
        Any number of candidates, scored against one history. With
        normalization an empty history gives 0; DeepCTR gives the mean of the
        padding. Dice's batch statistics include valid steps only. One call can
        return output and weights. The concatenation is never computed. Weights
        start differently in each layer; DeepCTR's start from the seed 1024.

    Reference:
        Zhou et al., [Deep Interest Network](https://arxiv.org/abs/1706.06978),
        2018, equation 3 (with weights that are not normalised).

    Example:

    >>> import numpy as np
    >>> from kseq.layers.sequence import AttentionSequencePoolingLayer
    >>> layer = AttentionSequencePoolingLayer((8, 4))
    >>> candidates = np.ones((2, 3, 6), "float32")
    >>> history = np.ones((2, 5, 6), "float32")
    >>> pooled, weights = layer(
    ...     candidates,
    ...     history,
    ...     lengths=np.array([5, 0]),
    ...     return_attention_scores=True,
    ... )
    >>> tuple(pooled.shape), tuple(weights.shape)
    ((2, 3, 6), (2, 3, 5))
    """

    deepctr_inputs = ("query", "keys", "lengths")
    masked_input = "keys"

    def __init__(
        self,
        att_hidden_units: Sequence[int] = (80, 40),
        att_activation: ActivationLike = "sigmoid",
        weight_normalization: bool = False,
        return_score: bool = False,
        supports_masking: bool = False,
        seed: int | None = None,
        l2_reg: float = 0,
        dropout_rate: float = 0,
        use_bn: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(supports_masking, **kwargs)
        self.local_att = LocalActivationUnit(
            check_positive_ints("att_hidden_units", att_hidden_units),
            check_activation("att_activation", att_activation),
            l2_reg,
            dropout_rate,
            use_bn,
            seed=seed,
            dtype=self.dtype_policy,
            name="local_activation_unit",
        )
        self.seed = self.local_att.seed
        self.l2_reg = self.local_att.l2_reg
        self.dropout_rate = self.local_att.dropout_rate
        self.use_bn = self.local_att.use_bn
        self.att_hidden_units = self.local_att.hidden_units
        self.att_activation = self.local_att.activation
        self.weight_normalization = check_bool(
            "weight_normalization", weight_normalization
        )
        self.return_score = check_bool("return_score", return_score)

    def build(self, query_shape: Shape, keys_shape: Shape) -> None:
        self.local_att.build(query_shape, keys_shape)

    @takes(
        query="any batch candidates dim",
        keys="any batch steps dim",
        candidates_mask="bool batch candidates",
    )
    def call(
        self,
        query: Tensor,
        keys: Tensor,
        lengths: Tensor | None = None,
        keys_mask: Tensor | None = None,
        training: bool | None = None,
        return_attention_scores: bool = False,
        candidates_mask: Tensor | None = None,
    ) -> Any:
        valid = self.valid_steps(keys, lengths, keys_mask)
        query, keys = (ops.cast(x, self.compute_dtype) for x in (query, keys))

        is_rowwise = self.local_att.dnn.is_rowwise
        if is_rowwise:  # without batch statistics
            candidates_mask = None

        def attend(query: Tensor, keys: Tensor, valid: Tensor) -> Any:
            keys = zero_padding(keys, valid)
            scores = self.local_att.scores(
                query, keys, valid, training, candidates_mask
            )
            weights = attention_weights(
                scores, valid, self.weight_normalization
            )
            return attention_pool(weights, keys), weights

        if return_attention_scores:
            return attend(query, keys, valid)
        if self.return_score:
            return attend(query, keys, valid)[1]
        if not is_rowwise:
            return attend(query, keys, valid)[0]
        elements = (query.shape[1] or 1) * max((1, *self.att_hidden_units[:1]))
        return map_buckets(
            lambda *bucket: attend(*bucket)[0],
            (query,),
            (keys,),
            (valid,),
            elements,
            training,
        )

    def compute_output_shape(
        self, query_shape: Shape, keys_shape: Shape
    ) -> Shape:
        last = keys_shape[1] if self.return_score else keys_shape[2]
        return (keys_shape[0], query_shape[1], last)
