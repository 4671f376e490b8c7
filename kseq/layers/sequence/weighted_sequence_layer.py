from typing import Any

import keras
from keras import ops

from kseq.checks import (
    check_bool,
    check_rank,
    check_same_dim,
    raise_invalid,
)
from kseq.layers.sequence_layer import SequenceLayer
from kseq.ops.masks import zero_padding
from kseq.ops.pooling import step_weights
from kseq.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="kseq")
class WeightedSequenceLayer(SequenceLayer):
    r"""Multiplies each step of a history by its weight.

    $$y_{bt} = a_{bt}\, x_{bt}, \qquad
      a_{bt} = \frac{m_{bt} e^{w_{bt}}}{\sum_u m_{bu} e^{w_{bu}}}
      \;\text{ or }\; a_{bt} = m_{bt} w_{bt}$$

    with $m_{bt}$ = 1 where step $t$ of history $b$ counts, else 0. An empty
    history gives 0. What stands in padding changes nothing.

    Args:
        weight_normalization: True: weights go through a softmax over the steps
            that count; False: they are used as they are.
        supports_masking: True: a mask says which steps count (and lengths too
            if they are given); False: lengths do, a mask only without them.

    Call arguments:
        inputs: `[x, lengths, weights]`, or `[x, weights]` with a mask. `x`:
            `(batch, steps, dim)`, `steps` may be unknown; `lengths`:
            `(batch,)` or `(batch, 1)`, integers or whole floats, clipped to
            [0, steps]; `weights`: `(batch, steps, 1)` or `(batch, steps)`.
        mask: bool `(batch, steps)` of `x`, or a list that begins with it.

    Returns:
        `(batch, steps, dim)`, in the compute dtype; 0 in steps that do not
        count. A mask that had a say is passed on.

    Raises:
        ValueError: `x` is no tensor of numbers of rank 3, weights, lengths or
            mask do not fit it, or there is neither lengths nor mask.

    Differences from DeepCTR:
        With normalisation an empty history gives 0; DeepCTR spreads its
        padding evenly. Weights `(batch, steps)` work; in DeepCTR they fail.

    Example:

    >>> import numpy as np
    >>> from kseq.layers.sequence import WeightedSequenceLayer
    >>> x = np.array([[[1.0], [3.0], [99.0]]], "float32")
    >>> weights = np.array([[2.0, 2.0, 7.0]], "float32")
    >>> y = WeightedSequenceLayer()([x, np.array([2]), weights])
    >>> [float(v) for v in y[0, :, 0]]
    [0.5, 1.5, 0.0]
    """

    features = ("x", "weights")
    lengths_at = 1
    sequence_at = 0

    def __init__(
        self,
        weight_normalization: bool = True,
        supports_masking: bool = False,
        **kwargs: Any,
    ) -> None:
        weight_normalization = check_bool(
            "weight_normalization", weight_normalization
        )
        super().__init__(supports_masking, **kwargs)
        self.weight_normalization = weight_normalization

    def check_features(self, shapes: list[Shape]) -> None:
        x, weights = shapes
        check_rank("x", x, (3,))
        check_rank("weights", weights, (2, 3))
        if len(weights) == 3 and weights[-1] != 1:
            raise_invalid(
                "weights", "shape (batch, steps) or (batch, steps, 1)", weights
            )
        check_same_dim(0, x=x, weights=weights)
        check_same_dim(1, x=x, weights=weights)

    def call(self, inputs: Any, mask: Any = None) -> Tensor:
        (x, weights), _ = self.unpack(inputs)
        valid = self.valid_steps(inputs, mask)
        if len(weights.shape) == 3:
            weights = ops.squeeze(weights, -1)
        weights = step_weights(weights, valid, self.weight_normalization)
        return zero_padding(x, valid) * ops.expand_dims(weights, -1)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return self.passed_mask(inputs, mask)

    def shape_of_output(self, input_shape: Any) -> Shape:
        (x, _), _ = self.split(input_shape)
        return tuple(x)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "weight_normalization": self.weight_normalization,
            "supports_masking": self.prefers_mask,
        }
