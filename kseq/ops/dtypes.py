"""Names of dtypes."""

from typing import Any

import keras

from kseq.checks import raise_invalid
from kseq.types import Tensor

HALF_DTYPES = ("float16", "bfloat16")

# The lowest finite number of each float dtype, for entries that a softmax must
# ignore. Not -inf, since -inf - -inf is NaN.
LOWEST = {
    "float16": -65504.0,
    "bfloat16": -3.3895313892515355e38,
    "float32": -3.4028234663852886e38,
    "float64": -1.7976931348623157e308,
}

# Cache of dtype names.
NAMES: dict[Any, str] = {}


def dtype_of(x: Tensor) -> str:
    """The name of a tensor's dtype, on every backend.

    Args:
        x: a tensor.

    Returns:
        A name such as "float32".

    Raises:
        ValueError: `x` has no dtype, or one that no backend knows.

    Example:

    >>> from keras import ops
    >>> dtype_of(ops.ones((2, 3), "float16"))
    'float16'
    """
    if not hasattr(x, "dtype"):
        raise_invalid("x", "a tensor", x)
    name = NAMES.get(x.dtype)
    if name is None:
        name = NAMES[x.dtype] = keras.backend.standardize_dtype(x.dtype)
    return name
