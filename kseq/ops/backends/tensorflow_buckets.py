"""TensorFlow graphs on a CPU, in training: buckets of similar lengths.

Each bucket is cut to its longest sequence, so that most padding is not computed
and more of what is computed stays in the cache.
"""

import itertools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kseq.ops.backends.plain import only_plain
from kseq.ops.backends.tensorflow_select import steps_as_rows
from kseq.ops.backends.tensorflow_xla import in_xla
from kseq.types import Tensor, Tensors

BUCKETS = 8
# Buckets cost a millisecond, which shorter sequences do not gain.
MIN_STEPS = 50


def map_buckets(
    function: Callable[..., Tensor],
    examples: Tensors,
    sequences: Tensors,
    valid: Tensors,
    elements_per_step: int,
    training: bool | None,
    returns_sequence: bool = False,
) -> Tensor:
    if not training or not can_depend_on_data(sequences[0]):
        return function(*examples, *sequences, *valid)
    lengths = [_last_steps(v) for v in valid]
    order = tf.argsort(lengths[0])
    buckets = _parts(order)
    rows = [
        [_rows(v, each, bucket) for bucket in buckets]
        for v, each in zip(valid, lengths, strict=True)
    ]
    parts = zip(
        *(_parts(tf.gather(x, order)) for x in examples),
        *(_cut(x, to) for x, to in zip(sequences, rows, strict=True)),
        *(_cut(x, to) for x, to in zip(valid, rows, strict=True)),
        strict=True,
    )
    results = [function(*part) for part in parts]
    if returns_sequence:
        return _put(results, rows[0], sequences[0])
    back = tf.math.invert_permutation(order)
    return tf.gather(tf.concat(results, 0), back)


def can_depend_on_data(sequence: Tensor) -> bool:
    """Whether a graph may have sizes that depend on data, and gains by it.

    XLA has no such sizes.
    """
    steps = sequence.shape[1]
    return (
        (steps is None or steps >= MIN_STEPS)
        and not only_plain()
        and not tf.executing_eagerly()
        and not in_xla()
        and not tf.config.list_logical_devices("GPU")
    )


def _last_steps(valid: Tensor) -> Tensor:
    """The number of the last valid step, from 1; 1 where there is none."""
    numbers = tf.range(1, tf.shape(valid)[1] + 1)
    return tf.reduce_max(tf.where(valid, numbers, 1), axis=1)


def _parts(x: Tensor) -> list[Tensor]:
    batch = tf.shape(x)[0]
    # With fewer examples than buckets, some are empty.
    number = min(BUCKETS, x.shape[0] or BUCKETS)
    ends = [batch * i // number for i in range(number + 1)]
    return [x[i:j] for i, j in itertools.pairwise(ends)]


def _rows(valid: Tensor, lengths: Tensor, bucket: Tensor) -> Tensor:
    """The rows of a bucket's steps, up to its longest sequence."""
    # 1 where a bucket is empty.
    longest = tf.maximum(tf.reduce_max(tf.gather(lengths, bucket)), 1)
    return bucket[:, None] * tf.shape(valid)[1] + tf.range(longest)


def _cut(x: Tensor, rows: list[Tensor]) -> Tensors:
    """Each bucket's part of `(batch, steps, ...)`."""

    @tf.custom_gradient
    def cut(x: Tensor) -> Any:
        def gradient(*upstream: Tensor) -> Tensor:
            return _put(upstream, rows, x)

        return tuple(tf.gather(steps_as_rows(x), to) for to in rows), gradient

    return cut(x)


def _put(parts: Any, rows: list[Tensor], like: Tensor) -> Tensor:
    """Scatter the parts into a tensor of zeros (the inverse of `_cut`)."""

    @tf.custom_gradient
    def put(*parts: Tensor) -> Any:
        def gradient(upstream: Tensor) -> Tensors:
            return _cut(upstream, rows)

        at = tf.concat([tf.reshape(to, [-1, 1]) for to in rows], 0)
        steps = tf.concat([steps_as_rows(part) for part in parts], 0)
        batch, length = tf.unstack(tf.shape(like)[:2])
        shape = tf.concat([[batch * length], tf.shape(steps)[1:]], 0)
        whole = tf.scatter_nd(at, steps, shape)
        return tf.reshape(
            whole, tf.concat([[batch, length], tf.shape(steps)[1:]], 0)
        ), gradient

    whole = put(*parts)
    whole.set_shape([*like.shape[:2], *parts[0].shape[2:]])
    return whole
