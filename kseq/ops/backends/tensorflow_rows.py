"""TensorFlow: rows of a variable are read and written in place.

Keras's Embedding reads the whole variable before it gathers, so that a step
copies it. Its optimizers square the gradient of each occurrence of a row, not
of their sum (docs/upstream/sparse_adam.py), so that only optimizers which add
the occurrences first get a gradient of rows.
"""

from typing import Any

import keras
import tensorflow as tf

from kseq.checks import Unquoted, raise_invalid
from kseq.types import Tensor


def lookup(
    table: keras.Variable, ids: Tensor, sparse: bool, training: bool | None
) -> Tensor:
    variable = table.value
    size = tf.constant(table.shape[0], ids.dtype)
    ids = tf.where(ids < 0, ids + size, ids)
    if sparse or not training:
        return tf.gather(variable, ids)

    @tf.custom_gradient
    def with_dense_gradient(ids: Tensor) -> Any:
        def gradient(upstream: Tensor, variables: Any = None) -> Any:
            rows = tf.reshape(upstream, [-1, table.shape[1]])
            flat = tf.reshape(ids, [-1])
            return None, [tf.math.unsorted_segment_sum(rows, flat, size)]

        return tf.gather(variable, ids), gradient

    return with_dense_gradient(ids)


def sparse_rows(gradient: Any) -> tuple[Tensor, Tensor] | None:
    if not isinstance(gradient, tf.IndexedSlices):
        return None
    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        raise_invalid("optimizer", "one device", Unquoted("several replicas"))
    ids, places = tf.unique(gradient.indices)
    count = tf.size(ids)
    return ids, tf.math.unsorted_segment_sum(gradient.values, places, count)


def read_rows(variable: keras.Variable, ids: Tensor) -> Tensor:
    return tf.gather(variable.value, ids)


def write_rows(variable: keras.Variable, ids: Tensor, rows: Tensor) -> None:
    variable.value.scatter_update(tf.IndexedSlices(rows, ids))
