from typing import Any

import keras
from keras import ops

from kseq.checks import check_one_of, check_rank
from kseq.layers.sequence_layer import SequenceLayer
from kseq.ops.pooling import masked_max, masked_mean, masked_sum
from kseq.types import Shape, Tensor

POOLINGS = {"sum": masked_sum, "mean": masked_mean, "max": masked_max}


@keras.saving.register_keras_serializable(package="kseq")
class SequencePoolingLayer(SequenceLayer):
    r"""Pools a history of varying length: sum, mean or maximum.

    With $m_{bt}$ = 1 where step $t$ of history $b$ counts,

    $$\mathrm{sum}: \sum_t m_{bt} x_{bt} \qquad
      \mathrm{mean}: \frac{\sum_t m_{bt} x_{bt}}{\sum_t m_{bt}} \qquad
      \mathrm{max}: \max_{t:\, m_{bt} = 1} x_{bt}$$

    An empty history gives 0. What stands in padding changes nothing.

    Args:
        mode: "sum", "mean" or "max".
        supports_masking: True: a mask says which steps count (and lengths too
            if they are given); False: lengths do, a mask only without them.

    Call arguments:
        inputs: `[x, lengths]`, or `x` with a mask. `x`: `(batch, steps, dim)`,
            `steps` may be unknown; `lengths`: `(batch,)` or `(batch, 1)`,
            integers or whole floats, clipped to [0, steps].
        mask: bool `(batch, steps)`, True where a step counts.

    Returns:
        `(batch, 1, dim)`, in the compute dtype, without a mask.

    Raises:
        ValueError: `mode` is none of the three, `x` is no tensor of numbers of
            rank 3, lengths or mask do not fit it, or there is neither.

    Differences from DeepCTR:
        "mean" divides by the number of steps that count; DeepCTR by the raw
        length even where it is beyond `steps`. "max" of an empty history is 0;
        DeepCTR's about -1e9. Lengths and masks can be used together.

    Example:

    >>> import numpy as np
    >>> from kseq.layers.sequence import SequencePoolingLayer
    >>> x = np.array([[[1.0], [3.0], [99.0]]], "float32")
    >>> float(SequencePoolingLayer("mean")([x, np.array([2])])[0, 0, 0])
    2.0
    """

    features = ("x",)
    lengths_at = 1
    sequence_at = 0

    def __init__(
        self,
        mode: str = "mean",
        supports_masking: bool = False,
        **kwargs: Any,
    ) -> None:
        mode = check_one_of("mode", mode, tuple(POOLINGS))
        super().__init__(supports_masking, **kwargs)
        self.mode = mode

    def check_features(self, shapes: list[Shape]) -> None:
        check_rank("x", shapes[0], (3,))

    def call(self, inputs: Any, mask: Any = None) -> Tensor:
        (x,), _ = self.unpack(inputs)
        valid = self.valid_steps(inputs, mask)
        return ops.expand_dims(POOLINGS[self.mode](x, valid), 1)

    def shape_of_output(self, input_shape: Any) -> Shape:
        ((batch, _, dim),), _ = self.split(input_shape)
        return (batch, 1, dim)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "mode": self.mode,
            "supports_masking": self.prefers_mask,
        }
