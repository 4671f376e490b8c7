# KERAS_BACKEND: tensorflow
"""ops.image.hsv_to_rgb has no gradient."""

import sys

import tensorflow as tf
from keras import ops

x = tf.constant([[[[0.1, 0.5, 0.5]]]])
with tf.GradientTape() as tape:
    tape.watch(x)
    y = ops.sum(ops.image.hsv_to_rgb(x))
got = tape.gradient(y, x)
print("expected: a tensor, as on PyTorch and JAX")
print("got:     ", got)
sys.exit(got is not None)
