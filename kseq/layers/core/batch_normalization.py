from typing import Any

import keras
from keras import ops

from kseq.checks import (
    check_axis,
    check_bool,
    check_epsilon,
    check_int,
    check_known_dim,
    check_min_rank,
    check_rank,
    check_rate,
    check_width,
)
from kseq.layers.checked_layer import CheckedLayer
from kseq.ops.masks import expand_mask, zero_padding
from kseq.ops.numerics import moments, upcast
from kseq.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="kseq")
class BatchNormalization(CheckedLayer):
    r"""Normalises each feature over the steps that count.

    $$y = \gamma\, \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta$$

    In training $\mu$ and $\sigma^2$ are those of the batch, over the steps that
    count only, and the moving statistics follow them; otherwise they are the
    moving statistics. A batch in which no step counts moves nothing.

    `keras.layers.BatchNormalization` does the same, but computes float64 in
    32 bits on PyTorch and JAX.

    Args:
        axis: the feature axis, any but the batch.
        momentum: how much of the moving statistics each batch keeps, in [0, 1).
        epsilon: $\epsilon$.
        center: whether there is a $\beta$.
        scale: whether there is a $\gamma$.

    Call arguments:
        inputs: `(batch, ..., dim)`.
        mask: bool `(batch, steps)` for inputs `(batch, steps, ..., dim)`, or
            None where every step counts.
        training: whether to use the batch's statistics.

    Returns:
        As `inputs`, in the compute dtype; a step that does not count gives
        what an input of 0 gives.

    Raises:
        ValueError: an argument is out of range, the feature axis's size is not
            known, it or the rank is another than the layer was built for, or
            the mask does not fit.

    Reference:
        Ioffe and Szegedy, Batch Normalization, 2015, algorithm 1.

    Example:

    >>> import keras, numpy as np
    >>> from kseq.layers.core import BatchNormalization
    >>> layer = BatchNormalization(epsilon=1e-9)
    >>> x = np.array([[[1.0], [3.0], [99.0]]], "float32")
    >>> mask = np.array([[True, True, False]])
    >>> y = keras.ops.convert_to_numpy(layer(x, mask=mask, training=True))
    >>> y[0, :2, 0].round(4).tolist()
    [-1.0, 1.0]
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        **kwargs: Any,
    ) -> None:
        axis = check_int("axis", axis)
        momentum = check_rate("momentum", momentum)
        epsilon = check_epsilon("epsilon", epsilon)
        center = check_bool("center", center)
        scale = check_bool("scale", scale)
        super().__init__(**kwargs)
        self.axis = axis
        self.momentum = momentum
        self.epsilon = epsilon
        self.center = center
        self.scale = scale
        self.supports_masking = True

    def check_shapes(self, shapes: dict[str, Shape]) -> None:
        shape = shapes["inputs"]
        check_min_rank("inputs", shape, 2)
        if self.built:
            check_rank("inputs", shape, (len(self._broadcast),))
        axis = check_axis("axis", self.axis, len(shape))
        if self.built:
            dim = self.moving_mean.shape[0]
            check_width("inputs", shape, axis, dim)

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        axis = check_axis("axis", self.axis, len(input_shape))
        dim = check_known_dim("inputs", input_shape, axis)
        self._reduced = [a for a in range(len(input_shape)) if a != axis]
        self._broadcast = [1] * len(input_shape)
        self._broadcast[axis] = dim

        def add(name: str, initializer: str, trainable: bool) -> Any:
            # Used in float32 or wider, whatever computes: no autocast.
            return self.add_weight(
                shape=(dim,),
                initializer=initializer,
                trainable=trainable,
                autocast=False,
                name=name,
            )

        self.gamma = add("gamma", "ones", True) if self.scale else None
        self.beta = add("beta", "zeros", True) if self.center else None
        self.moving_mean = add("moving_mean", "zeros", False)
        self.moving_variance = add("moving_variance", "ones", False)

    def call(
        self,
        inputs: Tensor,
        mask: Tensor | None = None,
        training: bool | None = None,
    ) -> Tensor:
        x = upcast(ops.cast(inputs, self.compute_dtype))
        valid = None
        if mask is not None:
            x = zero_padding(x, mask)
            valid = expand_mask(ops.cast(mask, "bool"), len(x.shape))
        if training and self.trainable:
            mean, variance, count = moments(x, self._reduced, valid)
            self._follow(self.moving_mean, mean, count)
            self._follow(self.moving_variance, variance, count)
        else:
            mean = self._spread(self.moving_mean, x)
            variance = self._spread(self.moving_variance, x)
        y = (x - mean) / ops.sqrt(variance + self.epsilon)
        if self.gamma is not None:
            y = y * self._spread(self.gamma, x)
        if self.beta is not None:
            y = y + self._spread(self.beta, x)
        return ops.cast(y, self.compute_dtype)

    def _spread(self, weight: Any, x: Tensor) -> Tensor:
        """A weight `(dim,)` in the dtype of `x`, ready to meet it."""
        return ops.reshape(ops.cast(weight, x.dtype), self._broadcast)

    def _follow(self, moving: Any, batch: Tensor, count: Tensor) -> None:
        old = self._spread(moving, batch)
        new = old * self.momentum + batch * (1.0 - self.momentum)
        new = ops.where(count > 0, new, old)
        moving.assign(ops.cast(ops.reshape(new, (-1,)), moving.dtype))

    def shape_of_output(self, input_shape: Shape) -> Shape:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
        }
