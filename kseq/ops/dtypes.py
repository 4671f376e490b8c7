"""The dtypes of numbers, by their names."""

import keras

from kseq.checks import raise_invalid
from kseq.types import Tensor

HALF_DTYPES = ("float16", "bfloat16")

# The least finite number of each float dtype, to fill what a softmax must not
# see. Not -inf: -inf - -inf is NaN.
LOWEST = {
    "float16": -65504.0,
    "bfloat16": -3.3895313892515355e38,
    "float32": -3.4028234663852886e38,
    "float64": -1.7976931348623157e308,
}


def dtype_of(x: Tensor) -> str:
    """The name of a tensor's dtype: ``x.dtype`` is of another type everywhere.

    Args:
        x: any tensor.

    Returns:
        Such as "float32".

    Raises:
        ValueError: `x` has no dtype, or one that no backend has.

    Example:

    >>> from keras import ops
    >>> dtype_of(ops.ones((2, 3), "float16"))
    'float16'
    """
    if not hasattr(x, "dtype"):
        raise_invalid("x", "a tensor", x)
    return keras.backend.standardize_dtype(x.dtype)
