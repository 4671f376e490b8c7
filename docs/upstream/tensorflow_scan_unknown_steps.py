# KERAS_BACKEND: tensorflow
"""ops.scan over two tensors fails if the number of steps is unknown."""

import sys

import tensorflow as tf
from keras import ops


@tf.function(
    input_signature=[tf.TensorSpec((None, 2)), tf.TensorSpec((None, 2))]
)
def run(x, y):
    return ops.scan(lambda h, xy: (h + xy[0], h + xy[1]), x[0], (x, y))[1]


try:
    got = run(tf.ones((3, 2)), tf.ones((3, 2))).shape
except Exception as error:
    got = type(error).__name__
print("expected: (3, 2)")
print("got:     ", got)
sys.exit(not isinstance(got, str))
