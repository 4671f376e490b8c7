# KERAS_BACKEND: jax
"""predict from several threads fails, and the weights may be lost.

It moves the variables out of the model and donates them to its compiled
function. On OpenVINO it fails, too, but the weights are kept.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np

x = keras.Input((3,))
model = keras.Model(x, keras.layers.Dense(2)(x))
features = np.ones((4, 3), "float32")
model.predict(features, verbose=0)


def fails(_):
    try:
        model.predict(features, verbose=0)
    except Exception:
        return True
    return False


with ThreadPoolExecutor(8) as pool:
    failed = sum(pool.map(fails, range(160)))
print("expected: 160 results")
print("got:     ", 160 - failed, "results,", failed, "errors")
sys.exit(not failed)
