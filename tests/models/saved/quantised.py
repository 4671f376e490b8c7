"""Saves DIN in int8 and its predictions.

KERAS_BACKEND=jax python -m tests.models.saved.quantised
"""

import gc
import warnings

import keras
import numpy as np

from tests.layers.saved.make import compress
from tests.models.examples import BY_NAME, inputs_of, predict
from tests.models.saved.make import SAVED

QUANTISED = SAVED / "din_int8.keras"
UNSUPPORTED = ".*(does not have a `quantize`|Invalid quantization mode)"


def quantise(model, mode):
    """`model.quantize`, without warnings for the layers that it ignores."""
    # Keras looks for garbage after each layer that it quantises. Among all that
    # other tests have left behind that takes a second a layer.
    gc.collect()
    gc.freeze()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", UNSUPPORTED)
        model.quantize(mode)
    gc.unfreeze()


def main():
    model = BY_NAME["DIN"].make()
    quantise(model, "int8")
    model.save(QUANTISED)
    compress(QUANTISED)
    predicted = {"output": predict(model), "made_by": keras.__version__}
    path = QUANTISED.with_suffix(".npz")
    np.savez_compressed(path, **inputs_of(model), **predicted)


if __name__ == "__main__":
    main()
