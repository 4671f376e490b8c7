from typing import Any

import keras

from kseq.checks import check_bool, check_positive_ints
from kseq.layers.core.activation import check_activation, serialize_activation
from kseq.layers.core.local_activation_unit import LocalActivationUnit
from kseq.layers.sequence_layer import SequenceLayer
from kseq.ops.attention import attention_pool, attention_weights
from kseq.ops.backends import by_groups
from kseq.ops.masks import zero_padding
from kseq.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="kseq")
class AttentionSequencePoolingLayer(SequenceLayer):
    r"""DIN's pooling: a history summed as it matters to a candidate.

    $$y_{bk} = \sum_t a_{bkt}\, x_{bt}, \qquad
      a_{bkt} = m_{bt} s_{bkt} \;\text{ or }\;
      \frac{m_{bt} e^{s_{bkt}}}{\sum_u m_{bu} e^{s_{bku}}}$$

    where $s_{bkt}$ is `LocalActivationUnit`'s score of step $t$ for candidate
    $k$, and $m_{bt}$ = 1 where step $t$ of history $b$ counts. An empty history
    gives 0. What stands in padding changes nothing.

    Args:
        att_hidden_units: the widths of the scorer's hidden layers.
        att_activation: their activation: the name of a Keras activation,
            'dice', a function, or a layer or its class, which is made anew for
            every hidden layer.
        weight_normalization: False: scores weigh as they are, as in the paper;
            True: they go through a softmax over the steps that count.
        return_score: True: the weights are the output, not the weighted sum.
        supports_masking: True: a mask says which steps count (and lengths too
            if they are given); False: lengths do, a mask only without them.

    Call arguments:
        inputs: `[query, keys, lengths]`, or `[query, keys]` with a mask.
            `query`: `(batch, candidates, dim)`; `keys`: `(batch, steps, dim)`,
            `steps` may be unknown; `lengths`: `(batch,)` or `(batch, 1)`,
            integers or whole floats, clipped to [0, steps].
        mask: bool `(batch, steps)` of the keys, or `[None, mask]`.
        training: whether the activation uses the batch's statistics.
        return_attention_scores: True: output and weights are both returned,
            whatever `return_score` says.

    Returns:
        `(batch, candidates, dim)`; with `return_score`, the weights `(batch,
        candidates, steps)`; with `return_attention_scores`, both as a tuple.
        In the compute dtype, without a mask.

    Raises:
        ValueError: an argument is out of range, an input is no tensor of
            numbers, the inputs' ranks, batch sizes or `dim` do not fit each
            other, `dim` is another than the layer was built for, or there is
            neither lengths nor mask.

    Differences from DeepCTR:
        Any number of candidates, scored against one history. With
        normalisation an empty history gives 0; DeepCTR gives the mean of the
        padding. Dice's batch statistics count valid steps only. Output and
        weights can be had from one call. The concatenation is never made.

    Reference:
        Zhou et al., Deep Interest Network, 2018, equation 3 (it says the
        weights are not normalised).

    Example:

    >>> import numpy as np
    >>> from kseq.layers.sequence import AttentionSequencePoolingLayer
    >>> layer = AttentionSequencePoolingLayer((8, 4))
    >>> candidates = np.ones((2, 3, 6), "float32")
    >>> history = np.ones((2, 5, 6), "float32")
    >>> pooled, weights = layer(
    ...     [candidates, history, np.array([5, 0])],
    ...     return_attention_scores=True,
    ... )
    >>> tuple(pooled.shape), tuple(weights.shape)
    ((2, 3, 6), (2, 3, 5))
    """

    features = ("query", "keys")
    lengths_at = 2
    sequence_at = 1

    def __init__(
        self,
        att_hidden_units: Any = (80, 40),
        att_activation: Any = "sigmoid",
        weight_normalization: bool = False,
        return_score: bool = False,
        supports_masking: bool = False,
        **kwargs: Any,
    ) -> None:
        att_hidden_units = check_positive_ints(
            "att_hidden_units", att_hidden_units
        )
        att_activation = check_activation("att_activation", att_activation)
        weight_normalization = check_bool(
            "weight_normalization", weight_normalization
        )
        return_score = check_bool("return_score", return_score)
        super().__init__(supports_masking, **kwargs)
        self.local_att = LocalActivationUnit(
            att_hidden_units,
            att_activation,
            dtype=self.dtype_policy,
            name="local_activation_unit",
        )
        self.att_hidden_units = att_hidden_units
        self.att_activation = att_activation
        self.weight_normalization = weight_normalization
        self.return_score = return_score

    def check_features(self, shapes: list[Shape]) -> None:
        query, keys = shapes
        self.local_att.check_shapes({"query": query, "keys": keys})

    def check_options(
        self, tensors: dict[str, Any], options: dict[str, Any]
    ) -> None:
        super().check_options(tensors, options)
        name = "return_attention_scores"
        check_bool(name, options.get(name, False))

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.local_att.build(self.split(input_shape)[0])

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        training: bool | None = None,
        return_attention_scores: bool = False,
    ) -> Any:
        (query, keys), _ = self.unpack(inputs)
        valid = self.valid_steps(inputs, mask)
        from_query, score = self.local_att.scorer(query, keys, training)

        def weigh(
            query: Tensor, from_query: Tensor, keys: Tensor, valid: Tensor
        ) -> tuple[Tensor, Tensor]:
            keys = zero_padding(keys, valid)
            scores = score(query, from_query, keys, valid)
            weights = attention_weights(
                scores, valid, self.weight_normalization
            )
            return weights, keys

        def pool(*group: Tensor) -> Tensor:
            return attention_pool(*weigh(*group))

        examples = query, from_query
        shows_weights = self.return_score or return_attention_scores
        if self.local_att.dnn.by_example and not shows_weights:
            made = from_query.shape[1:]
            return by_groups(pool, examples, (keys,), (valid,), made, training)
        weights, keys = weigh(*examples, keys, valid)
        if self.return_score and not return_attention_scores:
            return weights
        pooled = attention_pool(weights, keys)
        return (pooled, weights) if return_attention_scores else pooled

    def compute_output_spec(
        self,
        inputs: Any,
        mask: Any = None,
        training: bool | None = None,
        return_attention_scores: bool = False,
        **kwargs: Any,
    ) -> Any:
        output = super().compute_output_spec(inputs, mask=mask, **kwargs)
        if not return_attention_scores:
            return output
        (query, keys), _ = self.split(inputs)
        pooled, weights = self._output_shapes(query.shape, keys.shape)
        return (
            keras.KerasTensor(pooled, dtype=self.compute_dtype),
            keras.KerasTensor(weights, dtype=self.compute_dtype),
        )

    def shape_of_output(self, input_shape: Any) -> Shape:
        pooled, weights = self._output_shapes(*self.split(input_shape)[0])
        return weights if self.return_score else pooled

    def _output_shapes(self, query: Shape, keys: Shape) -> tuple[Shape, Shape]:
        return (
            (keys[0], query[1], keys[2]),
            (keys[0], query[1], keys[1]),
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "att_hidden_units": self.att_hidden_units,
            "att_activation": serialize_activation(self.att_activation),
            "weight_normalization": self.weight_normalization,
            "return_score": self.return_score,
            "supports_masking": self.prefers_mask,
        }
