"""TensorFlow: whole rows are selected by a vector, a copy for each row.

`tf.where` of its second version spreads the condition over every number first.
XLA does not, and would not see through the rows.
"""

import tensorflow as tf

from kseq.ops.backends.tensorflow_xla import in_xla
from kseq.types import Tensor


def fill_steps(x: Tensor, valid: Tensor, value: float = 0) -> Tensor:
    filling = tf.cast(value, x.dtype)
    if in_xla():
        return tf.where(valid, x, filling)
    rows = tf.reshape(x, [-1, *x.shape[2:]])
    kept = tf.compat.v1.where(
        tf.reshape(valid, [-1]), rows, tf.fill(tf.shape(rows), filling)
    )
    kept = tf.reshape(kept, tf.shape(x))
    kept.set_shape(x.shape)
    return kept
