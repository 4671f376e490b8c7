# KERAS_BACKEND: tensorflow
"""A sum of three in a graph's loop, large and with the loop's own variable,
leaves a temporary variable behind: the second call fails."""

import sys

import tensorflow as tf


@tf.function
def run(x):
    def body(t, a):
        return t + 1, tf.raw_ops.AddN(inputs=[a, x * 0.5, x])

    return tf.while_loop(lambda t, a: t < 5, body, (0, x))[1]


try:
    for _ in range(3):
        run(tf.ones((1024, 1024)))
    got = "three results"
except Exception as error:
    got = type(error).__name__
print("expected: three results")
print("got:     ", got)
sys.exit(got == "three results")
