"""TensorFlow: whole rows are selected by a vector, a copy for each row.

`tf.where` of its second version spreads the condition over every number first.
"""

import tensorflow as tf

from kseq.types import Tensor


def zero_steps(x: Tensor, valid: Tensor) -> Tensor:
    rows = tf.reshape(x, [-1, *x.shape[2:]])
    kept = tf.compat.v1.where(
        tf.reshape(valid, [-1]), rows, tf.zeros_like(rows)
    )
    kept = tf.reshape(kept, tf.shape(x))
    kept.set_shape(x.shape)
    return kept
