from typing import Any

import keras
from keras import ops

from kseq.checks import check_one_of
from kseq.layers.base import SequenceLayer
from kseq.ops.pooling import masked_max, masked_mean, masked_sum
from kseq.types import Shape, Tensor

POOLINGS = {"sum": masked_sum, "mean": masked_mean, "max": masked_max}


@keras.saving.register_keras_serializable(package="kseq")
class SequencePoolingLayer(SequenceLayer):
    r"""The sum, mean or maximum of the valid steps of a history.

    With $m_{bt}$ = 1 where step $t$ of history $b$ is valid, else 0,

    $$\mathrm{sum}: \sum_t m_{bt} x_{bt} \qquad
      \mathrm{mean}: \frac{\sum_t m_{bt} x_{bt}}{\sum_t m_{bt}} \qquad
      \mathrm{max}: \max_{t:\, m_{bt} = 1} x_{bt}$$

    An empty history gives 0. Values in padded steps have no effect. "mean"
    ignores the weights of a `WeightedSequenceLayer`, which can compute the
    weighted mean.

    Args:
        mode: "sum", "mean" or "max".
        supports_masking: for DeepCTR's list with lengths: False: masks are
            ignored; True: lengths and masks are combined.

    Call arguments:
        x: `(batch, steps, dim)`; `steps` may be unknown. DeepCTR's list is
            `[x, lengths]`.
        lengths: `(batch,)` or `(batch, 1)`, integers or whole floats, clipped
            to [0, steps].
        mask: bool `(batch, steps)`, True where a step is valid. Required
            without lengths; with lengths a step is valid if both include it.

    Returns:
        `(batch, 1, dim)`, in the compute dtype, without a mask.

    Raises:
        ValueError: `mode` is unknown, `x` is not of rank 3, lengths or mask do
            not fit it, or neither is given.

    Differences from DeepCTR:
        "mean" divides by the number of valid steps; DeepCTR divides by the raw
        length even where it exceeds `steps`. "max" of an empty history is 0;
        DeepCTR's is about -1e9. Lengths and masks can be combined.

    Example:

    >>> import numpy as np
    >>> from kseq.layers.sequence import SequencePoolingLayer
    >>> x = np.array([[[1.0], [3.0], [99.0]]], "float32")
    >>> y = SequencePoolingLayer("mean")(x, lengths=np.array([2]))
    >>> float(y[0, 0, 0])
    2.0
    """

    def __init__(
        self,
        mode: str = "mean",
        supports_masking: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(supports_masking, **kwargs)
        self.mode = check_one_of("mode", mode, tuple(POOLINGS))

    def call(
        self,
        x: Tensor,
        lengths: Tensor | None = None,
        mask: Tensor | None = None,
        x_mask: Tensor | None = None,
    ) -> Tensor:
        valid = self.valid_steps(x, lengths, mask, x_mask)
        x = ops.cast(x, self.compute_dtype)
        return ops.expand_dims(POOLINGS[self.mode](x, valid), 1)

    def compute_output_shape(self, x_shape: Shape) -> Shape:
        return (x_shape[0], 1, x_shape[2])
