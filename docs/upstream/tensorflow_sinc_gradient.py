# KERAS_BACKEND: tensorflow
"""The gradient of ops.sinc at 0 is NaN (tensorflow#127226)."""

import sys

import tensorflow as tf
from keras import ops

x = tf.constant([0.0])
with tf.GradientTape() as tape:
    tape.watch(x)
    y = ops.sinc(x)
got = float(tape.gradient(y, x)[0])
print("expected: 0.0, since sinc is even and smooth")
print("got:     ", got)
sys.exit(got == 0.0)
