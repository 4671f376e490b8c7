"""Trains on the backend that KERAS_BACKEND names.

`python -m clicks.worker FILE` writes the results to FILE, as JSON.
"""

import importlib.util
import json
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from clicks.data import ITEMS, batches, make_clicks
from clicks.model import start_model

EPOCHS = 5
BATCH = 100
# keras-tuner 1.4.8 imports packages that it does not declare, and that its
# dependencies no longer install (six by python-dateutil, tensorboard by
# TensorFlow).
NEEDED_BY_SEARCH = ["keras_tuner", "six"]
if keras.backend.backend() == "tensorflow":
    NEEDED_BY_SEARCH.append("tensorboard")


def main(file: Path) -> None:
    train, valid = make_clicks(2000, seed=1), make_clicks(500, seed=2)
    start = time.perf_counter()
    result: dict[str, Any] = train_in_loop(train, valid)
    result["seconds"] = time.perf_counter() - start
    result["missing"] = missing = [
        m for m in NEEDED_BY_SEARCH if not is_installed(m)
    ]
    result["search"] = []
    if not missing:
        from clicks.search import search

        result["search"] = search(train, valid)
    file.write_text(json.dumps(result))


def is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def train_in_loop(train: Any, valid: Any) -> dict[str, Any]:
    backend = keras.backend.backend()
    loop = importlib.import_module(f"clicks.{backend}_loop")
    model = start_model(ITEMS)
    losses = loop.train(
        model,
        keras.optimizers.Adam(1e-2),
        keras.losses.BinaryCrossentropy(),
        [b for _ in range(EPOCHS) for b in batches(train, BATCH)],
    )
    x, y = valid
    predictions = model.predict(x, verbose=0)
    return {
        "losses": losses,
        "predictions": predictions[:, 0].tolist(),
        "weights": np.concatenate(
            [keras.ops.convert_to_numpy(w).ravel() for w in model.weights]
        ).tolist(),
        "accuracy": float(np.mean((predictions > 0.5) == y)),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
