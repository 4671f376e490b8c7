from typing import Any

import keras
from keras import ops

from kseq.checks import check_known_dim, check_nonnegative
from kseq.layers.base import Layer
from kseq.ops.masks import zero_padding
from kseq.ops.numerics import layer_normalize
from kseq.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="kseq")
class LayerNormalization(Layer):
    r"""Layer normalization over the last axis, which keeps float64.

    $$y = \gamma \odot \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta$$

    Args:
        epsilon: $\epsilon$, at least 0.

    Call arguments:
        inputs: `(batch, ..., dim)`.
        mask: bool `(batch, steps)`. Padded steps are set to 0.

    Returns:
        As `inputs`, in the compute dtype; computed in float32 for half
        precision. The mask is propagated.

    Raises:
        ValueError: `epsilon` is negative, `dim` is unknown or differs from that
            at build time, or the mask does not fit.

    Differences from DeepCTR:
        Only the last axis is normalized.

    Reference:
        Ba et al., [Layer Normalization](https://arxiv.org/abs/1607.06450),
        2016.

    Example:

    >>> import keras, numpy as np
    >>> from kseq.layers.core import LayerNormalization
    >>> y = LayerNormalization()(np.array([[1.0, 3.0]], "float32"))
    >>> keras.ops.convert_to_numpy(y).round(4).tolist()
    [[-1.0, 1.0]]
    """

    def __init__(self, epsilon: float = 1e-9, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.epsilon = check_nonnegative("epsilon", epsilon)

    def build(self, input_shape: Shape) -> None:
        dim = check_known_dim("inputs", input_shape, -1)
        self.input_spec = keras.layers.InputSpec(axes={-1: dim})
        self.gamma = self.add_weight(
            shape=(dim,), initializer="ones", autocast=False, name="gamma"
        )
        self.beta = self.add_weight(
            shape=(dim,), initializer="zeros", autocast=False, name="beta"
        )

    def call(self, inputs: Tensor, mask: Any = None) -> Tensor:
        inputs = ops.cast(inputs, self.compute_dtype)
        if mask is not None:
            inputs = zero_padding(inputs, mask)
        return layer_normalize(inputs, self.gamma, self.beta, self.epsilon)
