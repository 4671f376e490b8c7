"""Saves DIN in int8, and what it predicts.

KERAS_BACKEND=jax python -m tests.models.saved.quantised
"""

import warnings

import keras
import numpy as np

from tests.layers.saved.make import compress
from tests.models.examples import BY_NAME, inputs_of, predict
from tests.models.saved.make import SAVED

QUANTISED = SAVED / "din_int8.keras"
LEFT = ".*(does not have a `quantize`|Invalid quantization mode)"


def quantise(model, mode):
    """As `model.quantize`, without a warning for each layer that it leaves."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", LEFT)
        model.quantize(mode)


def main():
    model = BY_NAME["DIN"].make()
    quantise(model, "int8")
    model.save(QUANTISED)
    compress(QUANTISED)
    np.savez_compressed(
        QUANTISED.with_suffix(".npz"),
        **inputs_of(model),
        output=predict(model),
        made_by=keras.__version__,
    )


if __name__ == "__main__":
    main()
