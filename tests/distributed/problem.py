"""A DIN trained on one and on several devices, and the results."""

import sys

import keras
import numpy as np

from tests.models import examples
from tests.support import to_numpy

ROWS, BATCH, TRAINING_STEPS = 32, 16, 20
# Without batch statistics, and with them.
PLAIN = {"att_activation": "sigmoid"}
STATISTICS = {
    "att_activation": "dice",
    "dnn_activation": "dice",
    "dnn_use_bn": True,
}


def make(options, loss="binary_crossentropy"):
    """Return a compiled model with the same initial weights everywhere."""
    model = examples.BY_NAME["DIN"].make(**options)
    optimizer = keras.optimizers.SGD(2**-7, momentum=0.875)
    # XLA would take most of the time; JAX has no other way.
    jit = "auto" if keras.backend.backend() == "jax" else False
    model.compile(optimizer, loss, jit_compile=jit)
    return model


def inputs_of(model, rows=ROWS):
    """Return histories of all lengths, and clicks; the first rows are empty."""
    draw = np.random.default_rng(3)
    chosen = draw.integers(examples.BATCH, size=rows)
    chosen[:8] = examples.LENGTHS.argmin()
    clicks = draw.integers(2, size=(rows, 1)).astype("float32")
    x = {n: x[chosen] for n, x in examples.inputs_of(model).items()}
    return x, clicks


def fit(model, rows=ROWS):
    return fit_to(model, *inputs_of(model, rows))


def fit_to(model, x, clicks, weights=None):
    """Return the mean loss of each epoch and the weights after 20 steps."""
    history = model.fit(
        x,
        clicks,
        sample_weight=weights,
        batch_size=BATCH,
        epochs=TRAINING_STEPS // -(-len(clicks) // BATCH),
        shuffle=False,
        verbose=0,
    )
    return {"losses": np.array(history.history["loss"]), **weights_of(model)}


def weights_of(model):
    return {weight.path: to_numpy(weight.value) for weight in model.weights}


def main(run_all):
    """Save the results to a file; array names are `run:name`."""
    (file,) = sys.argv[1:]
    results = run_all()
    if results is not None:
        arrays = {
            f"{run}:{name}": value
            for run, result in results.items()
            for name, value in result.items()
        }
        np.savez(file, **arrays)
