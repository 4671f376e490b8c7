# KERAS_BACKEND: tensorflow
"""The gradient of ops.cumprod is 0 at an element that is 0."""

import sys

import tensorflow as tf
from keras import ops

x = tf.constant([2.0, 0.0, 3.0])
with tf.GradientTape() as tape:
    tape.watch(x)
    y = ops.sum(ops.cumprod(x))
got = tape.gradient(y, x).numpy().tolist()
print("expected: [1.0, 8.0, 0.0], of x0 + x0 x1 + x0 x1 x2")
print("got:     ", got)
sys.exit(got == [1.0, 8.0, 0.0])
