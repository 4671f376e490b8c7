from typing import Any

import keras
from keras import ops

from kseq.checks import check_epsilon, check_int, check_known_dim
from kseq.layers.base import Layer
from kseq.layers.core.batch_normalization import BatchNormalization
from kseq.ops.masks import zero_padding
from kseq.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="kseq")
class Dice(Layer):
    r"""DIN's activation: a PReLU that adapts to the distribution of its input.

    $$y = p\, x + \alpha (1 - p)\, x, \qquad
      p = \sigma\!\left(\frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}}\right)$$

    In training $\mu$ and $\sigma^2$ are statistics of the batch, which also
    update moving averages; otherwise they are the moving averages. $\alpha$ is
    a trained number for each feature, initially 0.

    Args:
        axis: the axis whose entries have their own $\mu$ and $\sigma^2$.
        epsilon: $\epsilon$.

    Call arguments:
        inputs: `(batch, ..., dim)`.
        mask: bool `(batch, steps)` for inputs `(batch, steps, ..., dim)`; None:
            all steps are valid.
        training: whether to use the batch's statistics.

    Returns:
        As `inputs`, in the compute dtype; 0 in padded steps. The mask is
        propagated.

    Raises:
        ValueError: an argument is out of range, the size of the last axis or of
            `axis` is unknown or differs from that at build time, the rank
            differs from that at build time, or the mask does not fit.

    Differences from DeepCTR:
        With a mask, padded steps are left out of the statistics, and a batch of
        empty histories updates no average. Statistics are computed in float32
        for half precision, where 1e-9 would be 0.

    Reference:
        Zhou et al., [Deep Interest Network](https://arxiv.org/abs/1706.06978),
        2018, section 5.2.

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
        super().__init__(**kwargs)
        self.axis = check_int("axis", axis)
        self.epsilon = check_epsilon("epsilon", epsilon)

    def build(self, input_shape: Shape) -> None:
        dim = check_known_dim("inputs", input_shape, -1)
        self.input_spec = keras.layers.InputSpec(axes={-1: dim})
        self.alphas = self.add_weight(
            shape=(dim,), initializer="zeros", name="dice_alpha"
        )
        self.bn = self.add_sublayer(
            BatchNormalization,
            "batch_normalization",
            input_shape,
            axis=self.axis,
            epsilon=self.epsilon,
            center=False,
            scale=False,
        )

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
        return x * (p + ops.cast(self.alphas, x.dtype) * (1.0 - p))
