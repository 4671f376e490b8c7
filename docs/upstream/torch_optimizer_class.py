# KERAS_BACKEND: torch
"""A compiled model saved on PyTorch names a private class of its optimizer.

`load_model` then fails where PyTorch is not installed; where it is, other
backends cannot train the model.
"""

import sys

import keras

model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
model.compile("adam", "mse")
got = model.get_compile_config()["optimizer"]
if isinstance(got, dict):
    got = got["module"]
print("expected: keras.optimizers")
print("got:     ", got)
sys.exit("backend.torch" not in str(got))
