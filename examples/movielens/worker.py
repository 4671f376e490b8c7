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
from same_start import set_starting_weights

from movielens.features import features
from movielens.metrics import auc, log_loss
from movielens.model import attention_weights, build_model
from movielens.workspace import Workspace

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


def train(work: Workspace) -> None:
    """Train the models; leave predictions of each epoch, and the models."""
    backend, settings = keras.backend.backend(), work.settings()
    tell("versions", **versions(backend))
    for name in settings.models:
        model = build_model(name, work.genre_set(), settings.steps)
        set_starting_weights(model, settings.seed)
        tell("weights", model=name, count=model.count_params())
        predictions = train_epochs(name, model, work)
        np.save(work.predictions(backend, name), np.stack(predictions))
        model.save(work.saved_model(backend, name))


def train_epochs(
    name: str, model: keras.Model, work: Workspace
) -> list[np.ndarray]:
    settings, genre_set = work.settings(), work.genre_set()
    samples, valid = work.samples("train"), work.samples("valid")
    model.compile(
        keras.optimizers.Adam(settings.learning_rate),
        "binary_crossentropy",
        # The loss without penalties and DIEN's auxiliary loss.
        metrics=["binary_crossentropy"],
    )
    predictions = [predict(name, model, work)]
    for epoch in range(1, settings.epochs + 1):
        rng = np.random.default_rng([settings.seed, epoch])
        shuffled = samples[rng.permutation(len(samples))]
        inputs = features(name, shuffled, genre_set)
        began = time.perf_counter()
        history = model.fit(
            inputs,
            shuffled.liked[:, None],
            batch_size=settings.batch_size,
            shuffle=False,  # NumPy did, the same on every backend
            verbose=0,
            callbacks=[TellBatches()],
        )
        seconds = time.perf_counter() - began
        predictions.append(predict(name, model, work))
        tell(
            "epoch",
            model=name,
            epoch=epoch,
            train_loss=history.history["binary_crossentropy"][0],
            valid_loss=log_loss(valid.liked, predictions[-1]),
            auc=auc(valid.liked, predictions[-1]),
            seconds=seconds,
        )
    return predictions


def predict(name: str, model: keras.Model, work: Workspace) -> np.ndarray:
    inputs = features(name, work.samples("valid"), work.genre_set())
    batch_size = work.settings().batch_size
    return model.predict(inputs, batch_size=batch_size, verbose=0)[:, 0]


def load(work: Workspace, writer: str) -> None:
    """Predict with the models that another backend's process saved."""
    backend = keras.backend.backend()
    for name in work.settings().models:
        model = keras.saving.load_model(work.saved_model(writer, name))
        found = predict(name, model, work)
        np.save(work.loaded_predictions(backend, name), found)


def look(work: Workspace, writer: str) -> None:
    """Leave the attention that a saved DIN pays to the pictured samples."""
    model = keras.saving.load_model(work.saved_model(writer, "din"))
    pictured = features("din", work.samples("pictured"), work.genre_set())
    np.save(work.attention(), attention_weights(model, pictured))


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
    "train": train,
    "load": load,
    "look": look,
}

if __name__ == "__main__":
    job, folder, *rest = sys.argv[1:]
    JOBS[job](Workspace(Path(folder)), *rest)
