# KERAS_BACKEND: tensorflow
"""The gradient of ops.image.affine_transform for the image is wrong."""

import sys

import numpy as np
import tensorflow as tf
from keras import ops

transform = np.array([1.0, 0.2, -1.5, 0.1, 0.9, 0.5, 0, 0], "float32")
image = np.random.default_rng(0).normal(size=(6, 8, 1)).astype("float32")
c = np.random.default_rng(1).normal(size=(6, 8, 1)).astype("float32")


def loss(image):
    return tf.reduce_sum(ops.image.affine_transform(image, transform) * c)


x = tf.constant(image)
with tf.GradientTape() as tape:
    tape.watch(x)
    y = loss(x)
got = float(tape.gradient(y, x)[2, 4, 0])
step = np.zeros_like(image)
step[2, 4, 0] = 1.0  # exact, since the transform is linear in the image
expected = float(loss(tf.constant(image + step)) - y)
print("expected:", expected, "(differences)")
print("got:     ", got)
sys.exit(abs(got - expected) < 1e-4)
