# KERAS_BACKEND: openvino
"""`predict` computes float32 in bfloat16 if the processor supports it.

On other processors this script reports that the fault is gone.
"""

import sys

import keras
import numpy as np

layer = keras.layers.Dense(64, use_bias=False)
model = keras.Sequential([keras.Input((64,)), layer])
x = np.random.default_rng(0).normal(size=(64, 64)).astype("float32")
expected = x @ keras.ops.convert_to_numpy(layer.kernel)
got = np.abs(model.predict(x, verbose=0) - expected).max()
print("expected: off by less than 1e-5")
print("got:      off by", got)
sys.exit(bool(got < 1e-4))
