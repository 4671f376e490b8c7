# KERAS_BACKEND: tensorflow
"""Adam squares each occurrence of a row in a batch, and not their sum."""

import sys

import keras
import numpy as np


def first_step(times, rate=0.125):
    model = keras.Sequential(
        [keras.layers.Embedding(2, 1), keras.layers.Flatten()]
    )
    model.build((None, 1))
    model.set_weights([np.ones((2, 1), "float32")])
    model.compile(keras.optimizers.Adam(rate), "mse")
    ids = np.zeros((times, 1), "int32")
    model.train_on_batch(ids, np.zeros((times, 1), "float32"))
    return 1.0 - float(model.get_weights()[0][0, 0])


got = first_step(4)
print("expected: Adam's first step, 0.125, however often an id is there")
print("got:     ", round(got, 4))
sys.exit(abs(got - 0.125) < 1e-3)
