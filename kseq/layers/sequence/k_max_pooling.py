from typing import Any

import keras

from kseq.checks import (
    check_axis,
    check_int,
    check_min_rank,
    check_positive_int,
    raise_invalid,
)
from kseq.layers.sequence_layer import SequenceLayer
from kseq.ops.pooling import k_max
from kseq.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="kseq")
class KMaxPooling(SequenceLayer):
    r"""The `k` largest values along an axis, in descending order.

    Args:
        k: how many.
        axis: any axis but the batch; negative ones count from the end.

    Call arguments:
        inputs: `x`, or `[x, lengths]`. `x`: `(batch, steps, ...)`, rank 2 or
            more; `lengths`: `(batch,)` or `(batch, 1)`, integers or whole
            floats, clipped to [0, steps]. Without lengths and mask every step
            counts.
        mask: bool `(batch, steps)`, True where a step counts.

    Returns:
        As `x`, with `k` on `axis`, in the compute dtype. Steps that do not
        count never win: along the step axis a place for which no step is left
        holds 0; along any other the whole step is 0, and the mask is passed
        on.

    Raises:
        ValueError: `k` is no positive integer or larger than a known axis;
            `axis` is the batch or none of `x`; `x` is no tensor of numbers;
            lengths or mask do not fit it.

    Differences from DeepCTR:
        The default axis is 1: DeepCTR's, -1, is refused by DeepCTR itself.
        Negative axes, masks, lengths and unknown sizes work.

    Example:

    >>> import numpy as np
    >>> from kseq.layers.sequence import KMaxPooling
    >>> x = np.array([[[1.0], [5.0], [3.0]]], "float32")
    >>> [float(v) for v in KMaxPooling(k=2)(x)[0, :, 0]]
    [5.0, 3.0]
    """

    features = ("x",)
    lengths_at = 1
    sequence_at = 0

    def __init__(self, k: int = 1, axis: int = 1, **kwargs: Any) -> None:
        k = check_positive_int("k", k)
        axis = check_int("axis", axis)
        super().__init__(supports_masking=True, **kwargs)
        self.k = k
        self.axis = axis

    def check_features(self, shapes: list[Shape]) -> None:
        (x,) = shapes
        check_min_rank("x", x, 2)
        axis = check_axis("axis", self.axis, len(x))
        size = x[axis]
        if size is not None and self.k > size:
            raise_invalid(
                "k", f"at most the size {size} of axis {axis}", self.k
            )

    def check_steps_told(self, inputs: Any, mask: Any) -> None:
        """Without lengths and mask every step counts, as in DeepCTR."""

    def call(self, inputs: Any, mask: Any = None) -> Tensor:
        (x,), _ = self.unpack(inputs)
        return k_max(x, self.k, self.axis, self.valid_steps(inputs, mask))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        (x,), _ = self.split(inputs)
        along_steps = check_axis("axis", self.axis, len(x.shape)) == 1
        return None if along_steps else self.passed_mask(inputs, mask)

    def shape_of_output(self, input_shape: Any) -> Shape:
        (x,), _ = self.split(input_shape)
        shape = list(x)
        shape[check_axis("axis", self.axis, len(x))] = self.k
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "k": self.k, "axis": self.axis}
