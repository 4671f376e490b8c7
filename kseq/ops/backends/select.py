"""JAX, NumPy, OpenVINO: a select, which XLA fuses with what comes next."""

from keras import ops

from kseq.types import Tensor


def zero_steps(x: Tensor, valid: Tensor) -> Tensor:
    for _ in range(len(x.shape) - 2):
        valid = ops.expand_dims(valid, -1)
    return ops.where(valid, x, 0)
