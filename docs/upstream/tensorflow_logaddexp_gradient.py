# KERAS_BACKEND: tensorflow
"""The gradient of ops.logaddexp at equal numbers is (1, 0) (keras#23616)."""

import sys

import tensorflow as tf
from keras import ops

x, y = tf.constant([1.0]), tf.constant([1.0])
with tf.GradientTape() as tape:
    tape.watch((x, y))
    z = ops.logaddexp(x, y)
got = [float(g[0]) for g in tape.gradient(z, (x, y))]
print("expected: [0.5, 0.5], exp(x) / (exp(x) + exp(y))")
print("got:     ", got)
sys.exit(got == [0.5, 0.5])
