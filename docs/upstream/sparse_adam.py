# KERAS_BACKEND: tensorflow
"""Adam squares the gradient of each occurrence of a row, not of their sum."""

import sys

import keras
import numpy as np


def first_step(count, rate=0.125):
    model = keras.Sequential(
        [keras.layers.Embedding(2, 1), keras.layers.Flatten()]
    )
    model.build((None, 1))
    model.set_weights([np.ones((2, 1), "float32")])
    model.compile(keras.optimizers.Adam(rate), "mse")
    ids = np.zeros((count, 1), "int32")
    model.train_on_batch(ids, np.zeros((count, 1), "float32"))
    return 1.0 - float(model.get_weights()[0][0, 0])


got = first_step(4)
print("expected: 0.125, Adam's first step, however often an id occurs")
print("got:     ", round(got, 4))
sys.exit(abs(got - 0.125) < 1e-3)
