"""TensorFlow: select whole rows by a vector of bools.

`tf.where` broadcasts the condition to every number first. XLA does not, and
could not fuse a select of rows.
"""

import tensorflow as tf

from kseq.ops.backends.plain import only_plain
from kseq.ops.backends.tensorflow_xla import in_xla
from kseq.types import Tensor


def fill_steps(x: Tensor, valid: Tensor, value: float = 0) -> Tensor:
    filling = tf.cast(value, x.dtype)
    if only_plain() or in_xla() or not _by_rows(x, valid):
        return tf.where(valid, x, filling)
    rows = steps_as_rows(x)
    kept = tf.compat.v1.where(
        tf.reshape(valid, [-1]), rows, tf.fill(tf.shape(rows), filling)
    )
    kept = tf.reshape(kept, tf.shape(x))
    kept.set_shape(x.shape)
    return kept


def _by_rows(x: Tensor, valid: Tensor) -> bool:
    """Whether the mask has exactly one bool for each step."""
    if any(size != 1 for size in valid.shape[2:]):
        return False
    return x.shape[1:2] == [1] or valid.shape[1:2] != [1]


def steps_as_rows(x: Tensor) -> Tensor:
    """`(batch, steps, ...)` as `(batch * steps, ...)`."""
    sizes = x.shape[2:]
    if None in sizes:
        sizes = tf.unstack(tf.shape(x))[2:]
    return tf.reshape(x, [-1, *sizes])
