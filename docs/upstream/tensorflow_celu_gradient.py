# KERAS_BACKEND: tensorflow
"""The gradient of ops.celu at 0 is 2; that of a differentiable function, 1."""

import sys

import tensorflow as tf
from keras import ops

x = tf.constant([0.0])
with tf.GradientTape() as tape:
    tape.watch(x)
    y = ops.celu(x)
got = float(tape.gradient(y, x)[0])
print("expected: 1.0, as (celu(h) - celu(-h)) / 2h")
print("got:     ", got)
sys.exit(got == 1.0)
