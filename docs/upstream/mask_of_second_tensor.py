# KERAS_BACKEND: numpy
"""The mask is not passed to a call that has a second tensor argument."""

import sys

import keras
import numpy as np


class Layer(keras.layers.Layer):
    def call(self, inputs, state=None, mask=None):
        self.mask = mask
        return inputs


x = keras.layers.Masking()(np.ones((2, 3, 1), "float32"))
layer = Layer()
layer.supports_masking = True
layer(x)
print("expected: a mask, as without the state:", layer.mask is not None)
layer(x, state=np.ones((2, 1), "float32"))
print("got:      a mask:", layer.mask is not None)
sys.exit(layer.mask is not None)
