# KERAS_BACKEND: numpy
"""With a second tensor among a call's arguments the mask does not arrive."""

import sys

import keras
import numpy as np


class Layer(keras.layers.Layer):
    def call(self, inputs, state=None, mask=None):
        self.got = mask
        return inputs


x = keras.layers.Masking()(np.ones((2, 3, 1), "float32"))
layer = Layer()
layer.supports_masking = True
layer(x)
print("expected: a mask, as without the state:", layer.got is not None)
layer(x, state=np.ones((2, 1), "float32"))
print("got:      a mask:", layer.got is not None)
sys.exit(layer.got is not None)
