from typing import Any

import keras
from keras import ops

from kseq.checks import check_axis, check_int, check_positive_int
from kseq.layers.base import SequenceLayer, first_mask
from kseq.ops.pooling import k_max
from kseq.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="kseq")
class KMaxPooling(SequenceLayer):
    r"""The `k` largest values along an axis, in descending order.

    Args:
        k: the number of values.
        axis: any axis but the batch; negative ones count from the end.

    Call arguments:
        x: `(batch, steps, ...)`, rank 2 or more. The list form is `[x,
            lengths]`.
        lengths: `(batch,)` or `(batch, 1)`, integers or whole floats, clipped
            to [0, steps].
        mask: bool `(batch, steps)`. Without lengths and mask all steps are
            valid; with both, a step is valid if both include it.

    Returns:
        As `x`, with size `k` on `axis`, in the compute dtype. Padded steps are
        never among the largest: along the step axis, entries beyond the number
        of valid steps are 0; along any other axis the whole padded step is 0,
        and without lengths the mask is propagated.

    Raises:
        ValueError: `k` is not a positive integer or exceeds a known size;
            `axis` is out of range; lengths or mask do not fit `x`.

    Differences from DeepCTR:
        The default axis is 1: DeepCTR's default, -1, always raises there.
        Negative axes, masks, lengths and unknown sizes work.

    Example:

    >>> import numpy as np
    >>> from kseq.layers.sequence import KMaxPooling
    >>> x = np.array([[[1.0], [5.0], [3.0]]], "float32")
    >>> [float(v) for v in KMaxPooling(k=2)(x)[0, :, 0]]
    [5.0, 3.0]
    """

    requires_mask = False

    def __init__(self, k: int = 1, axis: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.k = check_positive_int("k", k)
        self.axis = check_int("axis", axis)

    def call(
        self,
        x: Tensor,
        lengths: Tensor | None = None,
        mask: Tensor | None = None,
        x_mask: Tensor | None = None,
    ) -> Tensor:
        valid = self.valid_steps(x, lengths, mask, x_mask)
        return k_max(ops.cast(x, self.compute_dtype), self.k, self.axis, valid)

    def compute_mask(self, inputs: Tensor, mask: Any = None) -> Any:
        axis = check_axis("axis", self.axis, len(inputs.shape))
        return None if axis == 1 else first_mask(mask)

    def compute_output_shape(self, x_shape: Shape) -> Shape:
        shape = list(x_shape)
        shape[check_axis("axis", self.axis, len(shape))] = self.k
        return tuple(shape)
