"""TensorFlow's graphs on a CPU, in training: examples of like length together.

Each group is cut to its longest sequence, so that most padding is not computed
at all, and what is computed of a group finds more of it in the cache.
"""

import itertools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kseq.ops.backends.tensorflow_xla import in_xla
from kseq.types import Tensor

Tensors = tuple[Tensor, ...]

GROUPS = 8
# Groups cost a millisecond, which fewer steps do not bring back.
LEAST_STEPS = 50


def by_groups(
    function: Callable[..., Tensors],
    examples: Tensors,
    sequence: Tensor,
    valid: Tensor,
    training: bool | None,
) -> Tensors:
    if not training or not can_group(sequence):
        return function(*examples, sequence, valid)
    places = tf.range(1, tf.shape(valid)[1] + 1)
    lengths = tf.reduce_max(tf.where(valid, places, 1), axis=1)
    order = tf.argsort(lengths)
    groups = _parts(order)
    longest = [
        # 1 where a group is empty.
        tf.maximum(tf.reduce_max(part), 1)
        for part in _parts(tf.gather(lengths, order))
    ]
    parts = zip(
        *(_parts(tf.gather(x, order)) for x in examples),
        *(_cut(x, groups, longest) for x in (sequence, valid)),
        strict=True,
    )
    found = [function(*part) for part in parts]
    back = tf.math.invert_permutation(order)
    return tuple(
        tf.gather(tf.concat(x, 0), back) for x in zip(*found, strict=True)
    )


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


def _parts(x: Tensor) -> list[Tensor]:
    batch = tf.shape(x)[0]
    ends = [batch * i // GROUPS for i in range(GROUPS + 1)]
    return [x[i:j] for i, j in itertools.pairwise(ends)]


def _cut(x: Tensor, groups: list[Tensor], longest: list[Tensor]) -> Tensors:
    """Each group's `(batch, steps, ...)` as far as its longest goes.

    Each number of x is in one group, so its gradient has nothing to add.
    """
    steps = tf.shape(x)[1]
    rows = [
        group[:, None] * steps + tf.range(end)
        for group, end in zip(groups, longest, strict=True)
    ]

    @tf.custom_gradient
    def cut(x: Tensor) -> Any:
        by_row = tf.reshape(x, [-1, *x.shape[2:]])

        def gradient(*upstream: Tensor) -> Tensor:
            at = tf.concat([tf.reshape(r, [-1, 1]) for r in rows], 0)
            found = [tf.reshape(u, [-1, *x.shape[2:]]) for u in upstream]
            whole = tf.scatter_nd(at, tf.concat(found, 0), tf.shape(by_row))
            return tf.reshape(whole, tf.shape(x))

        return tuple(tf.gather(by_row, r) for r in rows), gradient

    return cut(x)
