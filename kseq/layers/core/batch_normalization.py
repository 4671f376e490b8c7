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
    check_rate,
)
from kseq.layers.base import Layer
from kseq.ops.masks import expand_mask, zero_padding
from kseq.ops.numerics import moments, upcast
from kseq.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="kseq")
class BatchNormalization(Layer):
    r"""Batch normalization over the valid steps.

    $$y = \gamma\, \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta$$

    In training $\mu$ and $\sigma^2$ are statistics of the batch's valid steps,
    which also update the moving statistics; otherwise they are the moving
    statistics. A batch without valid steps updates nothing.

    `keras.layers.BatchNormalization` computes the same, but float64 in 32 bits
    on PyTorch and JAX.

    Args:
        axis: the feature axis, any but the batch.
        momentum: the weight of the old moving statistics, in [0, 1).
        epsilon: $\epsilon$.
        center: whether to add $\beta$.
        scale: whether to multiply by $\gamma$.

    Call arguments:
        inputs: `(batch, ..., dim)`.
        mask: bool `(batch, steps)` for inputs `(batch, steps, ..., dim)`; None:
            all steps are valid.
        training: whether to use the batch's statistics.

    Returns:
        As `inputs`, in the compute dtype. A padded step gives the output of an
        input of 0.

    Raises:
        ValueError: an argument is out of range, the size of the feature axis is
            unknown or differs from that at build time, the rank differs from
            that at build time, or the mask does not fit.

    Reference:
        Ioffe and Szegedy, [Batch
        Normalization](https://arxiv.org/abs/1502.03167), 2015, algorithm 1.

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
        super().__init__(**kwargs)
        self.axis = check_int("axis", axis)
        self.momentum = check_rate("momentum", momentum)
        self.epsilon = check_epsilon("epsilon", epsilon)
        self.center = check_bool("center", center)
        self.scale = check_bool("scale", scale)

    def build(self, input_shape: Shape) -> None:
        rank = len(check_min_rank("inputs", input_shape, 2))
        axis = check_axis("axis", self.axis, rank)
        dim = check_known_dim("inputs", input_shape, axis)
        self.input_spec = keras.layers.InputSpec(ndim=rank, axes={axis: dim})
        self._reduced_axes = [a for a in range(rank) if a != axis]
        self._weight_shape = [1] * rank
        self._weight_shape[axis] = dim

        def add(name: str, initializer: str, trainable: bool) -> Any:
            # No autocast: statistics are used in float32 or wider.
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
            mean, variance, count = moments(x, self._reduced_axes, valid)
            self._update_moving_average(self.moving_mean, mean, count)
            self._update_moving_average(self.moving_variance, variance, count)
        else:
            mean = self._broadcast(self.moving_mean, x)
            variance = self._broadcast(self.moving_variance, x)
        y = (x - mean) / ops.sqrt(variance + self.epsilon)
        if self.gamma is not None:
            y = y * self._broadcast(self.gamma, x)
        if self.beta is not None:
            y = y + self._broadcast(self.beta, x)
        return ops.cast(y, self.compute_dtype)

    def _broadcast(self, weight: Any, x: Tensor) -> Tensor:
        """A weight `(dim,)` in the dtype and rank of `x`."""
        return ops.reshape(ops.cast(weight, x.dtype), self._weight_shape)

    def _update_moving_average(
        self, moving: Any, batch: Tensor, count: Tensor
    ) -> None:
        old = self._broadcast(moving, batch)
        new = old * self.momentum + batch * (1.0 - self.momentum)
        new = ops.where(count > 0, new, old)
        moving.assign(ops.cast(ops.reshape(new, (-1,)), moving.dtype))
