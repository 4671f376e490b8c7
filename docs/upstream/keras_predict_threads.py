"""Keras: `predict` from several threads fails on JAX and on OpenVINO.

    KERAS_BACKEND=jax python docs/upstream/keras_predict_threads.py

On JAX `predict` takes the variables out of the model and donates them to its
compiled function; on OpenVINO it keeps one compiled model, and makes it anew
when the shapes change. A second thread meets what is not there, or is in use;
on JAX the model's weights may be gone for good afterwards (seen with Keras
3.12.0 and 3.15.1).

In kseq: docs/serving.md says to call the model, or to hold a lock;
tests/reliability/test_threads.py does both.
"""

import threading
from collections import Counter

import keras
import numpy as np

x = keras.Input((3,))
model = keras.Model(x, keras.layers.Dense(2)(x))
given = np.ones((4, 3), "float32")
expected = model.predict(given, verbose=0)
found = Counter()


def work() -> None:
    for _ in range(20):
        try:
            got = model.predict(given, verbose=0)
        except Exception as error:
            found[f"{type(error).__name__}: {str(error)[:80]}"] += 1
        else:
            found["right" if np.allclose(got, expected) else "wrong"] += 1


threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for what, count in found.most_common():
    print(count, what)
try:
    again = model.predict(given, verbose=0)
except Exception as error:
    print("afterwards, alone:", repr(error))
else:
    right = np.allclose(again, expected)
    print("afterwards, alone:", "right" if right else "wrong")
