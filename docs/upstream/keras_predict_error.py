# KERAS_BACKEND: jax
"""After an error in predict or evaluate the model has no weights.

Both move the variables' values out of the model and restore them only on
success. fit always restores them.
"""

import sys

import keras
import numpy as np

x = keras.Input((3,))
model = keras.Model(x, keras.layers.Dense(2)(x))
try:
    model.predict(np.ones((4, 5), "float32"), verbose=0)  # not 3 features
except Exception as error:
    print(type(error).__name__)
try:
    got = f"{len(model.get_weights())} weights"
except TypeError as error:
    got = f"TypeError: {error}"
print("expected: 2 weights")
print("got:     ", got)
sys.exit("weights" in got)
