# KERAS_BACKEND: jax
"""predict from several threads fails, and may take the weights with it.

It takes the variables out of the model and donates them to its compiled
function. On OpenVINO it fails, too, but nothing is lost.
"""

import sys
import threading

import keras
import numpy as np

x = keras.Input((3,))
model = keras.Model(x, keras.layers.Dense(2)(x))
given = np.ones((4, 3), "float32")
model.predict(given, verbose=0)
failed = []


def work():
    for _ in range(20):
        try:
            model.predict(given, verbose=0)
        except Exception as error:
            failed.append(type(error).__name__)


threads = [threading.Thread(target=work) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print("expected: 160 results")
print("got:     ", 160 - len(failed), "results,", len(failed), "errors")
sys.exit(not failed)
