"""What one process does on the backend that KERAS_BACKEND names.

`python -m movielens.worker JOB FOLDER [BACKEND]`: the folder holds what the
processes share; standard output gets an event a line, as JSON.
"""

import json
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import numpy as np

from movielens.metrics import auc, log_loss
from movielens.model import (
    Batches,
    attention_of,
    build_model,
    features,
    set_weights,
    starting_weights,
)
from movielens.workspace import MODELS, Workspace

DISTRIBUTIONS = {
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "torch": ("torch",),
    "jax": ("jax",),
}


def tell(event: str, **content: Any) -> None:
    print(json.dumps({"event": event, **content}), flush=True)


class TellBatches(keras.callbacks.Callback):
    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        tell("batch")


def start(work: Workspace) -> None:
    """Draw the weights that every backend starts from."""
    settings = work.settings()
    for name in MODELS:
        model = build_model(name, work.genres(), settings.steps)
        weights = starting_weights(model, settings.seed)
        np.savez(work.starting_weights(name), **weights)
        tell("weights", model=name, count=model.count_params())


def train(work: Workspace) -> None:
    """Train both models; leave predictions of each epoch, and the models."""
    backend = keras.backend.backend()
    tell("versions", **versions(backend))
    for name in MODELS:
        model = build_model(name, work.genres(), work.settings().steps)
        with np.load(work.starting_weights(name)) as weights:
            set_weights(model, weights)
        predictions = train_epochs(model, work)
        np.save(work.predictions(backend, name), np.stack(predictions))
        model.save(work.saved_model(backend, name))


def train_epochs(model: keras.Model, work: Workspace) -> list[np.ndarray]:
    settings, genres = work.settings(), work.genres()
    samples, valid = work.samples("train"), work.samples("valid")
    model.compile(
        keras.optimizers.Adam(settings.learning_rate), "binary_crossentropy"
    )
    predictions = [predict(model, work)]
    for epoch in range(1, settings.epochs + 1):
        rng = np.random.default_rng([settings.seed, epoch])
        order = rng.permutation(len(samples))
        began = time.perf_counter()
        history = model.fit(
            Batches(samples[order], genres, settings.batch_size),
            shuffle=False,
            verbose=0,
            callbacks=[TellBatches()],
        )
        seconds = time.perf_counter() - began
        predictions.append(predict(model, work))
        tell(
            "epoch",
            model=model.name,
            epoch=epoch,
            train_loss=history.history["loss"][0],
            valid_loss=log_loss(valid.liked, predictions[-1]),
            auc=auc(valid.liked, predictions[-1]),
            seconds=seconds,
        )
    return predictions


def predict(model: keras.Model, work: Workspace) -> np.ndarray:
    batches = Batches(
        work.samples("valid"), work.genres(), work.settings().batch_size
    )
    return model.predict(batches, verbose=0)[:, 0]


def load(work: Workspace, writer: str) -> None:
    """Predict with the models that another backend's process saved."""
    backend = keras.backend.backend()
    for name in MODELS:
        model = keras.saving.load_model(work.saved_model(writer, name))
        np.save(work.loaded_predictions(backend, name), predict(model, work))
        tell("loaded", model=name)


def look(work: Workspace, writer: str) -> None:
    """Leave the attention that a saved DIN pays to the pictured samples."""
    model = keras.saving.load_model(work.saved_model(writer, "din"))
    pictured = features(work.samples("pictured"), work.genres())
    weights = attention_of(model).predict(pictured, verbose=0)
    np.save(work.attention(), weights[:, 0])


def versions(backend: str) -> dict[str, str]:
    found = {"backend": backend, "keras": keras.version()}
    for name in DISTRIBUTIONS[backend]:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        break
    return found


JOBS: dict[str, Callable[..., None]] = {
    "start": start,
    "train": train,
    "load": load,
    "look": look,
}

if __name__ == "__main__":
    job, folder, *rest = sys.argv[1:]
    JOBS[job](Workspace(Path(folder)), *rest)
