"""The affine map of dense layers."""

from keras import ops

from kseq.checks import raise_invalid
from kseq.ops.backends import reshape
from kseq.ops.validation import takes
from kseq.types import Tensor


@takes(kernel="float dim units", bias="float units", x="float ...")
def linear(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    r"""The affine map of a dense layer over the last axis, $x W + b$.

    Args:
        x: float `(..., dim)`.
        kernel: float `(dim, units)`, cast to the dtype of `x`.
        bias: float `(units,)`, cast as `kernel`; None: no bias.

    Returns:
        `(..., units)`, in the dtype of `x`.

    Raises:
        ValueError: an argument is not a float tensor, or shapes do not fit.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> x = np.array([[[1.0, 2.0]]], "float32")
    >>> kernel = np.array([[1.0], [10.0]], "float32")
    >>> y = linear(x, kernel, bias=np.array([0.5], "float32"))
    >>> ops.convert_to_numpy(y).tolist()
    [[[21.5]]]
    """
    dim = kernel.shape[0]
    if not len(x.shape) or x.shape[-1] not in (dim, None):
        raise_invalid("x", f"shape (..., {dim})", tuple(x.shape))
    # An operator, since ops.matmul rounds 64 bits to 32 on PyTorch
    # (docs/upstream/torch_matmul_float64.py); of rank 2, since a higher rank is
    # slower on JAX, and TensorFlow has no product of rank 1. Symbolic sizes may
    # have no product.
    rank = len(x.shape)
    symbolic = {*map(type, x.shape)} - {int, type(None)}
    flatten = rank != 2 and not symbolic
    y = reshape(x, (-1, dim)) if flatten else x
    y = y @ ops.cast(kernel, x.dtype)
    if bias is not None:
        y = y + ops.cast(bias, x.dtype)
    if flatten:
        y = reshape(y, (*ops.shape(x)[:-1], kernel.shape[-1]))
    return y
