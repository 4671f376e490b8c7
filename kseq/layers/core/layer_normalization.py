from typing import Any

import keras
from keras import ops

from kseq.checks import (
    check_known_dim,
    check_min_rank,
    check_nonnegative,
)
from kseq.layers.checked_layer import CheckedLayer
from kseq.ops.masks import zero_padding
from kseq.ops.numerics import layer_normalize
from kseq.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="kseq")
class LayerNormalization(CheckedLayer):
    r"""Layer normalisation over the last axis that keeps float64.

    $$y = \gamma \odot \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta$$

    Args:
        epsilon: keeps constant entries from a division by 0.

    Call arguments:
        inputs: `(batch, ..., dim)`.
        mask: bool `(batch, steps)`: other steps are taken as 0.

    Returns:
        As `inputs`, in the compute dtype; computed in float32 where that is
        half. The mask is passed on.

    Raises:
        ValueError: `epsilon` is negative, `dim` is not known or another than
            the layer was built for, or the mask does not fit.

    Differences from DeepCTR:
        The last axis only.

    Reference:
        Ba et al., Layer Normalization, 2016.

    Example:

    >>> import keras, numpy as np
    >>> from kseq.layers.core import LayerNormalization
    >>> y = LayerNormalization()(np.array([[1.0, 3.0]], "float32"))
    >>> keras.ops.convert_to_numpy(y).round(4).tolist()
    [[-1.0, 1.0]]
    """

    def __init__(self, epsilon: float = 1e-9, **kwargs: Any) -> None:
        epsilon = check_nonnegative("epsilon", epsilon)
        super().__init__(**kwargs)
        self.epsilon = epsilon
        self.supports_masking = True

    def check_shapes(self, shapes: dict[str, Shape]) -> None:
        check_min_rank("inputs", shapes["inputs"], 1)
        self.check_width("inputs", shapes["inputs"])

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        dim = check_known_dim("inputs", input_shape, -1)
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

    def shape_of_output(self, input_shape: Shape) -> Shape:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon}
