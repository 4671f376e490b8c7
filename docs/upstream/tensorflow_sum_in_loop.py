# KERAS_BACKEND: tensorflow
"""A sum of three large tensors in a graph's loop fails at a later call.

One of them is the loop's own variable: TensorFlow creates a temporary variable
for the sum, and does not delete that of the last step.
"""

import sys

import tensorflow as tf


@tf.function
def run(x, w):
    def body(t, a, total):
        a = tf.raw_ops.AddN(inputs=[a, a * w, x])
        return t + 1, a, total + tf.reduce_sum(a)

    return tf.while_loop(lambda t, *_: t < 5, body, (0, x, 0.0))


try:
    for _ in range(3):
        run(tf.ones((2048, 2048)), tf.zeros((2048, 2048)))
    got = "three results"
except tf.errors.AlreadyExistsError as error:
    got = type(error).__name__
print("expected: three results")
print("got:     ", got)
sys.exit(got == "three results")
