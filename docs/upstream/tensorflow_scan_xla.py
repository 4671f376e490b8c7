# KERAS_BACKEND: tensorflow
"""ops.scan has no gradient under XLA, which Keras enables on a GPU."""

import sys

import tensorflow as tf
from keras import ops


@tf.function(jit_compile=True)
def gradient(x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        _, y = ops.scan(lambda h, x: (h + x, h + x), x[0], x)
        loss = tf.reduce_sum(y)
    return tape.gradient(loss, x)


try:
    got = gradient(tf.ones((3, 2))).numpy().tolist()
except Exception as error:
    got = type(error).__name__
print("expected: numbers")
print("got:     ", got)
sys.exit(not isinstance(got, str))
