from typing import Any

import keras
from keras import ops

from kseq.checks import check_one_of
from kseq.layers.base import SequenceLayer
from kseq.ops.masks import per_step, zero_padding
from kseq.ops.pooling import NORMALIZATIONS, step_weights
from kseq.ops.validation import takes
from kseq.types import Tensor


@keras.saving.register_keras_serializable(package="kseq")
class WeightedSequenceLayer(SequenceLayer):
    r"""Multiplies each step of a history by its weight.

    $$y_{bt} = a_{bt}\, x_{bt}, \qquad
      a_{bt} = \frac{m_{bt} e^{w_{bt}}}{\sum_u m_{bu} e^{w_{bu}}}
      \;\text{ or }\; a_{bt} = m_{bt} w_{bt}
      \;\text{ or }\; a_{bt} = \frac{m_{bt} w_{bt}}{\sum_u m_{bu} w_{bu}}$$

    with $m_{bt}$ = 1 where step $t$ of history $b$ is valid, else 0. An empty
    history gives 0. Values in padded steps have no effect.

    `SequencePoolingLayer("mean")` after this layer divides by the number of
    valid steps, not by the sum of the weights. For the weighted mean
    $\sum_t w_t x_t / \sum_t w_t$ use `weight_normalization="sum"` and
    `SequencePoolingLayer("sum")`.

    Args:
        weight_normalization: True: the weights are a softmax over the valid
            steps; False: they are used unchanged; "sum": they are divided by
            their sum over the valid steps. Where this is 0 the result is 0;
            negative weights that nearly cancel give large numbers.
        supports_masking: for DeepCTR's list with lengths: False: masks are
            ignored; True: lengths and masks are combined.

    Call arguments:
        x: `(batch, steps, dim)`; `steps` may be unknown. DeepCTR's list is
            `[x, lengths, weights]`, or `[x, weights]` with a mask.
        weights: `(batch, steps)` or `(batch, steps, 1)`.
        lengths: `(batch,)` or `(batch, 1)`, integers or whole floats, clipped
            to [0, steps].
        mask: bool `(batch, steps)` of `x`. Required without lengths; with
            lengths a step is valid if both include it.

    Returns:
        `(batch, steps, dim)`, in the compute dtype; 0 in padded steps. Without
        lengths the mask is propagated.

    Raises:
        ValueError: `x` is not of rank 3, weights, lengths or mask do not fit
            it, or neither lengths nor a mask is given.

    Differences from DeepCTR:
        With normalization an empty history gives 0; DeepCTR gives the mean of
        the padding. Weights `(batch, steps)` work; in DeepCTR they fail.
        `weight_normalization` may be "sum".

    Example:

    >>> import numpy as np
    >>> from kseq.layers.sequence import WeightedSequenceLayer
    >>> x = np.array([[[1.0], [3.0], [99.0]]], "float32")
    >>> weights = np.array([[2.0, 2.0, 7.0]], "float32")
    >>> y = WeightedSequenceLayer()(x, weights, lengths=np.array([2]))
    >>> [float(v) for v in y[0, :, 0]]
    [0.5, 1.5, 0.0]
    """

    deepctr_inputs = ("x", "lengths", "weights")
    keeps_steps = True

    def __init__(
        self,
        weight_normalization: bool | str = True,
        supports_masking: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(supports_masking, **kwargs)
        self.weight_normalization = check_one_of(
            "weight_normalization", weight_normalization, NORMALIZATIONS
        )

    @takes(x="any batch steps dim")
    def call(
        self,
        x: Tensor,
        weights: Tensor,
        lengths: Tensor | None = None,
        mask: Tensor | None = None,
        x_mask: Tensor | None = None,
    ) -> Tensor:
        valid = self.valid_steps(x, lengths, mask, x_mask)
        x, weights = (ops.cast(t, self.compute_dtype) for t in (x, weights))
        weights = step_weights(
            per_step(weights, x), valid, self.weight_normalization
        )
        return zero_padding(x, valid) * ops.expand_dims(weights, -1)
