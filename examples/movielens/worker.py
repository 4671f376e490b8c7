"""Runs one job on the backend that KERAS_BACKEND names.

`python -m movielens.worker JOB FOLDER [BACKEND]` reads from and writes to the
shared folder, and prints events as JSON, one a line.
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

from kseq.models import attention_weights
from movielens.features import features
from movielens.metrics import auc, log_loss
from movielens.model import build_model
from movielens.workspace import Workspace

DISTRIBUTIONS = {
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "torch": ("torch",),
    "jax": ("jax",),
}


def emit(event: str, **content: Any) -> None:
    print(json.dumps({"event": event, **content}), flush=True)


class ReportBatches(keras.callbacks.Callback):
    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        emit("batch")


def train(workspace: Workspace) -> None:
    """Train the models; save the predictions of each epoch and the models."""
    backend, settings = keras.backend.backend(), workspace.settings()
    emit("versions", **versions(backend))
    for name in settings.models:
        model = build_model(name, workspace.genre_set(), settings.steps)
        set_starting_weights(model, settings.seed)
        emit("weights", model=name, count=model.count_params())
        predictions = train_epochs(name, model, workspace)
        np.save(workspace.predictions(backend, name), np.stack(predictions))
        model.save(workspace.saved_model(backend, name))


def train_epochs(
    name: str, model: keras.Model, workspace: Workspace
) -> list[np.ndarray]:
    settings = workspace.settings()
    inputs, liked = workspace.samples("train")
    inputs = features(model, inputs)
    _, valid_liked = workspace.samples("valid")
    model.compile(
        keras.optimizers.Adam(settings.learning_rate),
        "binary_crossentropy",
        # The loss without penalties and DIEN's auxiliary loss.
        metrics=["binary_crossentropy"],
    )
    predictions = [predict(model, workspace)]
    for epoch in range(1, settings.epochs + 1):
        rng = np.random.default_rng([settings.seed, epoch])
        order = rng.permutation(len(liked))
        shuffled = {name: array[order] for name, array in inputs.items()}
        start = time.perf_counter()
        history = model.fit(
            shuffled,
            liked[order, None],
            batch_size=settings.batch_size,
            shuffle=False,  # NumPy shuffled, the same on every backend
            verbose=0,
            callbacks=[ReportBatches()],
        )
        seconds = time.perf_counter() - start
        predictions.append(predict(model, workspace))
        emit(
            "epoch",
            model=name,
            epoch=epoch,
            train_loss=history.history["binary_crossentropy"][0],
            valid_loss=log_loss(valid_liked, predictions[-1]),
            auc=auc(valid_liked, predictions[-1]),
            seconds=seconds,
        )
    return predictions


def predict(model: keras.Model, workspace: Workspace) -> np.ndarray:
    inputs, _ = workspace.samples("valid")
    batch_size = workspace.settings().batch_size
    predicted = model.predict(
        features(model, inputs), batch_size=batch_size, verbose=0
    )
    return predicted[:, 0]


def load(workspace: Workspace, writer: str) -> None:
    """Predict with the models that another backend saved."""
    backend = keras.backend.backend()
    for name in workspace.settings().models:
        model = keras.saving.load_model(workspace.saved_model(writer, name))
        predictions = predict(model, workspace)
        np.save(workspace.loaded_predictions(backend, name), predictions)


def attention(workspace: Workspace, writer: str) -> None:
    """Save the attention weights of a saved DIN for the plotted samples."""
    model = keras.saving.load_model(workspace.saved_model(writer, "din"))
    plotted, _ = workspace.samples("plotted")
    (weights,) = attention_weights(model, features(model, plotted)).values()
    np.save(workspace.attention(), weights[:, 0])


def versions(backend: str) -> dict[str, str]:
    result = {"backend": backend, "keras": keras.version()}
    for name in DISTRIBUTIONS[backend]:
        try:
            result[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        break
    return result


JOBS: dict[str, Callable[..., None]] = {
    "train": train,
    "load": load,
    "attention": attention,
}

if __name__ == "__main__":
    job, folder, *rest = sys.argv[1:]
    JOBS[job](Workspace(Path(folder)), *rest)
