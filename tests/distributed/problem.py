"""Models trained on one and on several devices, and their results."""

import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from tests.models import examples
from tests.support import to_numpy

ROWS, BATCH, TRAINING_STEPS = 32, 16, 20
# Models whose results for an example do not depend on the others.
BY_EXAMPLE: dict[str, dict[str, Any]] = {"DIN": {"att_activation": "sigmoid"}}
# Models that use batch statistics.
BY_BATCH: dict[str, dict[str, Any]] = {
    "DIN": {
        "att_activation": "dice",
        "dnn_activation": "dice",
        "dnn_use_bn": True,
    }
}

Result = dict[str, Any]


def make(name: str, loss: Any = "binary_crossentropy", **options: Any) -> Any:
    """Return a compiled model with the same initial weights everywhere."""
    model = examples.BY_NAME[name].make(**options)
    optimizer = keras.optimizers.SGD(2**-7, momentum=0.875)
    # XLA would take most of the time; JAX has no other way.
    jit = "auto" if keras.backend.backend() == "jax" else False
    model.compile(optimizer, loss, jit_compile=jit)
    return model


def samples(rows: int = ROWS) -> tuple[dict[str, Any], Any]:
    """Return histories of all lengths; the first eight rows are empty."""
    draw = np.random.default_rng(3)
    chosen = draw.integers(examples.BATCH, size=rows)
    chosen[:8] = examples.LENGTHS.argmin()
    clicks = draw.integers(2, size=(rows, 1)).astype("float32")
    return {n: x[chosen] for n, x in examples.arrays().items()}, clicks


def inputs_of(model: Any, rows: int = ROWS) -> tuple[dict[str, Any], Any]:
    x, clicks = samples(rows)
    return {symbol.name: x[symbol.name] for symbol in model.inputs}, clicks


def fit(model: Any, rows: int = ROWS) -> Result:
    """Return the mean loss of each epoch and the weights after 20 steps."""
    return fit_to(model, *inputs_of(model, rows))


def fit_to(model: Any, x: Any, clicks: Any, weights: Any = None) -> Result:
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


def weights_of(model: Any) -> Result:
    return {weight.path: to_numpy(weight.value) for weight in model.weights}


def main(run_all: Callable[[], dict[str, Result] | None]) -> None:
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
