# KERAS_BACKEND: jax
"""An error in predict or evaluate leaves the model without weights.

They take the variables' values out, and put them back only at their end; fit
does it in any case.
"""

import sys

import keras
import numpy as np

x = keras.Input((3,))
model = keras.Model(x, keras.layers.Dense(2)(x))
try:
    model.predict(np.ones((4, 5), "float32"), verbose=0)  # 5 where 3 are meant
except Exception as error:
    print(type(error).__name__)
try:
    got = f"{len(model.get_weights())} weights"
except TypeError as error:
    got = f"TypeError: {error}"
print("expected: 2 weights")
print("got:     ", got)
sys.exit("weights" in got)
