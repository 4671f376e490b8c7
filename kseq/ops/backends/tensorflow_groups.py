"""TensorFlow's graphs on a CPU, in training: examples of like length together.

Each group is cut to its longest sequence, so that most padding is not computed
at all, and what is computed of a group finds more of it in the cache.
"""

import itertools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kseq.ops.backends.tensorflow_select import steps_as_rows
from kseq.ops.backends.tensorflow_xla import in_xla
from kseq.types import Tensor, Tensors

GROUPS = 8
# Groups cost a millisecond, which fewer steps do not bring back.
LEAST_STEPS = 50


def by_groups(
    function: Callable[..., Tensor],
    examples: Tensors,
    sequences: Tensors,
    valid: Tensors,
    made: tuple[int, ...],
    training: bool | None,
    gives_steps: bool = False,
) -> Tensor:
    if not training or not can_group(sequences[0]):
        return function(*examples, *sequences, *valid)
    lengths = [_last_steps(v) for v in valid]
    order = tf.argsort(lengths[0])
    groups = _parts(order)
    rows = [
        [_rows(v, each, group) for group in groups]
        for v, each in zip(valid, lengths, strict=True)
    ]
    parts = zip(
        *(_parts(tf.gather(x, order)) for x in examples),
        *(_cut(x, to) for x, to in zip(sequences, rows, strict=True)),
        *(_cut(x, to) for x, to in zip(valid, rows, strict=True)),
        strict=True,
    )
    found = [function(*part) for part in parts]
    if gives_steps:
        return _put(found, rows[0], sequences[0])
    back = tf.math.invert_permutation(order)
    return tf.gather(tf.concat(found, 0), back)


def can_group(sequence: Tensor) -> bool:
    """Whether a graph may have sizes that depend on data, and gains by it.

    XLA knows no such sizes. Only in training: what is exported stays simple.
    """
    steps = sequence.shape[1]
    return (
        (steps is None or steps >= LEAST_STEPS)
        and not tf.executing_eagerly()
        and not in_xla()
        and not tf.config.list_logical_devices("GPU")
    )


def _last_steps(valid: Tensor) -> Tensor:
    """The place of the last step that counts, from 1; 1 where none does."""
    places = tf.range(1, tf.shape(valid)[1] + 1)
    return tf.reduce_max(tf.where(valid, places, 1), axis=1)


def _parts(x: Tensor) -> list[Tensor]:
    batch = tf.shape(x)[0]
    # Where there are fewer examples some groups are empty.
    number = min(GROUPS, x.shape[0] or GROUPS)
    ends = [batch * i // number for i in range(number + 1)]
    return [x[i:j] for i, j in itertools.pairwise(ends)]


def _rows(valid: Tensor, lengths: Tensor, group: Tensor) -> Tensor:
    """The rows of a group's steps, as far as its longest goes."""
    # 1 where a group is empty.
    longest = tf.maximum(tf.reduce_max(tf.gather(lengths, group)), 1)
    return group[:, None] * tf.shape(valid)[1] + tf.range(longest)


def _cut(x: Tensor, rows: list[Tensor]) -> Tensors:
    """Each group's `(batch, steps, ...)` of the whole."""

    @tf.custom_gradient
    def cut(x: Tensor) -> Any:
        def gradient(*upstream: Tensor) -> Tensor:
            return _put(upstream, rows, x)

        return tuple(tf.gather(steps_as_rows(x), to) for to in rows), gradient

    return cut(x)


def _put(parts: Any, rows: list[Tensor], like: Tensor) -> Tensor:
    """The way back: the whole, with 0 where no group is."""

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
