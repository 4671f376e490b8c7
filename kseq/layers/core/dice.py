from typing import Any

import keras
from keras import ops

from kseq.checks import (
    check_axis,
    check_epsilon,
    check_int,
    check_known_dim,
    check_min_rank,
)
from kseq.layers.checked_layer import CheckedLayer
from kseq.layers.core.batch_normalization import BatchNormalization
from kseq.ops.masks import zero_padding
from kseq.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="kseq")
class Dice(CheckedLayer):
    r"""DIN's activation: a PReLU whose turning point follows the data.

    $$y = p\, x + \alpha (1 - p)\, x, \qquad
      p = \sigma\!\left(\frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}}\right)$$

    In training $\mu$ and $\sigma^2$ are those of the batch and a moving
    average follows them; otherwise they are that average. $\alpha$ is trained,
    one a feature, and begins at 0.

    Args:
        axis: the axis that has one $\mu$ and $\sigma^2$ a place.
        epsilon: $\epsilon$.

    Call arguments:
        inputs: `(batch, ..., dim)`.
        mask: bool `(batch, steps)` for inputs `(batch, steps, ..., dim)`, or
            None where every step counts.
        training: whether to use the batch's statistics.

    Returns:
        As `inputs`, in the compute dtype; 0 in steps that do not count. The
        mask is passed on.

    Raises:
        ValueError: an argument is out of range, the size of the last axis or of
            `axis` is not known, these or the rank are others than the layer was
            built for, or the mask does not fit.

    Differences from DeepCTR:
        With a mask, steps that do not count stay out of the statistics, and a
        batch of empty histories moves no average. Statistics are computed in
        float32 under half precision, where 1e-9 would be 0.

    Reference:
        Zhou et al., Deep Interest Network, 2018, section 5.2.

    Example:

    >>> import keras, numpy as np
    >>> from kseq.layers.core import Dice
    >>> y = Dice()(np.array([[-1.0, 0.0, 1.0]], "float32"))
    >>> [round(float(v), 4) for v in keras.ops.convert_to_numpy(y)[0]]
    [-0.2689, 0.0, 0.7311]
    """

    def __init__(
        self, axis: int = -1, epsilon: float = 1e-9, **kwargs: Any
    ) -> None:
        axis = check_int("axis", axis)
        epsilon = check_epsilon("epsilon", epsilon)
        super().__init__(**kwargs)
        self.axis = axis
        self.epsilon = epsilon
        self.supports_masking = True

    def check_shapes(self, shapes: dict[str, Shape]) -> None:
        check_min_rank("inputs", shapes["inputs"], 2)
        check_axis("axis", self.axis, len(shapes["inputs"]))
        self.check_width("inputs", shapes["inputs"])
        if self.built:
            self.bn.check_shapes(shapes)

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self.alphas = self.add_weight(
            shape=(check_known_dim("inputs", input_shape, -1),),
            initializer="zeros",
            name="dice_alpha",
        )
        self.bn = BatchNormalization(
            axis=self.axis,
            epsilon=self.epsilon,
            center=False,
            scale=False,
            dtype=self.dtype_policy,
            name="batch_normalization",
        )
        self.bn.build(input_shape)

    def call(
        self,
        inputs: Tensor,
        mask: Tensor | None = None,
        training: bool | None = None,
    ) -> Tensor:
        x = ops.cast(inputs, self.compute_dtype)
        if mask is not None:
            x = zero_padding(x, mask)
        p = ops.sigmoid(self.bn(x, mask=mask, training=training))
        return x * (p + ops.convert_to_tensor(self.alphas) * (1.0 - p))

    def shape_of_output(self, input_shape: Shape) -> Shape:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "epsilon": self.epsilon,
        }
