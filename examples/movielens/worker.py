"""Runs one job on the backend that KERAS_BACKEND names.

`python -m movielens.worker JOB FOLDER [ARGUMENT ...]` reads from and writes to
the shared folder, and prints events as JSON, one a line.
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

from kseq.data import BucketedBatches
from kseq.metrics import GroupAUC, group_auc
from kseq.models import attention_weights, score_candidates
from movielens.features import (
    CANDIDATE,
    another_users_history,
    features,
    shuffled_history,
)
from movielens.metrics import auc, variance_shares
from movielens.model import build_model
from movielens.workspace import Settings, Workspace

DISTRIBUTIONS = {
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "torch": ("torch",),
    "jax": ("jax",),
}


def emit(event: str, **content: Any) -> None:
    print(json.dumps({"event": event, **content}), flush=True)


class Report(keras.callbacks.Callback):
    """Prints the batches and the epochs."""

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        emit("batch")

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        emit("epoch", **logs)


def train(workspace: Workspace, *seeds: str) -> None:
    """Train all models with each seed; save those of the first."""
    backend, settings = keras.backend.backend(), workspace.settings()
    emit("versions", **versions(backend))
    for seed in map(int, seeds):
        for name in settings.models:
            keras.utils.clear_session()
            model = build_model(name, workspace.genre_set(), settings.steps)
            set_starting_weights(model, seed)
            emit("model", model=name, seed=seed, weights=model.count_params())
            before = predict(model, workspace)
            start = time.process_time()
            fit(model, workspace, settings, seed)
            seconds = time.process_time() - start
            after = predict(model, workspace)
            emit("tested", seconds=seconds, **evaluate(model, workspace, after))
            if seed == settings.seeds[0]:
                predictions = np.stack([before, after])
                np.save(workspace.predictions(backend, name), predictions)
                model.save(workspace.saved_model(backend, name))


def fit(
    model: keras.Model, workspace: Workspace, settings: Settings, seed: int
) -> None:
    inputs, liked, _ = workspace.samples("train")
    valid, valid_liked, users = workspace.samples("valid")
    model.compile(
        keras.optimizers.Adam(settings.learning_rate), "binary_crossentropy"
    )
    batches = BucketedBatches(
        features(model, inputs),
        liked,
        lengths=np.full(len(liked), settings.steps),
        batch_size=min(settings.batch_size, len(liked)),
        buckets=[settings.steps],
        drop_remainder=True,
        seed=seed,
    )
    monitored = {"monitor": "val_gauc", "mode": "max"}
    model.fit(
        batches,
        epochs=settings.epochs,
        shuffle=False,  # the batches are, in the same way on every backend
        verbose=0,
        callbacks=[
            GroupAUC(
                features(model, valid),
                valid_liked,
                users,
                batch_size=batch_size(users),
            ),
            keras.callbacks.EarlyStopping(
                **monitored,
                patience=settings.patience,
                restore_best_weights=True,
            ),
            Report(),
        ],
    )


def batch_size(rows: np.ndarray) -> int:
    """Return a divisor of the number of rows: batches of one shape."""
    return max(n for n in range(1, 4097) if len(rows) % n == 0)


def predict(
    model: keras.Model,
    workspace: Workspace,
    change: Callable[[dict[str, Any]], dict[str, Any]] = dict,
) -> np.ndarray:
    """Return the scores of the test, maybe with other histories."""
    inputs, liked, _ = workspace.samples("test")
    predicted = model.predict(
        features(model, change(inputs)),
        batch_size=batch_size(liked),
        verbose=0,
    )
    return predicted[:, 0]


def evaluate(
    model: keras.Model, workspace: Workspace, scores: np.ndarray
) -> dict[str, float]:
    """Return AUC and gAUC, and gAUC with histories that are not the user's."""
    _, liked, users = workspace.samples("test")
    rows = 1 + workspace.settings().negatives
    changes = {
        "shuffled": shuffled_history,
        "foreign": lambda x: another_users_history(x, rows),
    }
    return {
        "auc": auc(liked, scores),
        "gauc": group_auc(liked, scores, users),
        **{
            name: group_auc(liked, predict(model, workspace, change), users)
            for name, change in changes.items()
        },
    }


def explain(workspace: Workspace, writer: str, *models: str) -> None:
    """Load the models that another backend saved; rank movies with them."""
    shown, *_ = workspace.samples("shown")
    genre_set, seen = workspace.genre_set(), workspace.seen()
    movies = np.arange(1, len(genre_set))
    found = {}
    for name in models:
        model = keras.saving.load_model(workspace.saved_model(writer, name))
        found[f"{name} test"] = predict(model, workspace)
        scores = np.stack(
            [
                score_candidates(
                    model,
                    {
                        key: x[user]
                        for key, x in features(model, shown).items()
                        if key not in CANDIDATE
                    },
                    {"movie": movies, "genres": genre_set[movies]},
                )
                for user in range(len(seen))
            ]
        )
        scores = np.where(seen[:, 1:], -np.inf, scores)
        found[f"{name} scores"] = scores
        if name == "din":
            found["attention shares"] = attention_shares(model, workspace)
            top = movies[scores.argmax(1)]
            pairs = {k: np.repeat(x, 2, 0) for k, x in shown.items()}
            pairs["movie"] = np.stack([shown["movie"], top], 1).ravel()
            pairs["genres"] = genre_set[pairs["movie"]]
            (weights,) = attention_weights(
                model, features(model, pairs)
            ).values()
            found["attention"] = weights[:, 0]
    np.savez(workspace.explained(keras.backend.backend()), **found)


def attention_shares(model: keras.Model, workspace: Workspace) -> list[float]:
    """Of the test's full histories: each has the same candidates."""
    inputs, liked, _ = workspace.samples("test")
    (weights,) = attention_weights(
        model, features(model, inputs), batch_size=batch_size(liked)
    ).values()
    rows = 1 + workspace.settings().negatives
    steps = weights.shape[-1]
    full = inputs["seq_length"][::rows] == steps
    return variance_shares(weights.reshape(-1, rows, steps)[full])


def versions(backend: str) -> dict[str, str]:
    result = {"backend": backend, "keras": keras.version()}
    for name in DISTRIBUTIONS[backend]:
        try:
            result[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        break
    return result


JOBS: dict[str, Callable[..., None]] = {"train": train, "explain": explain}

if __name__ == "__main__":
    job, folder, *rest = sys.argv[1:]
    JOBS[job](Workspace(Path(folder)), *rest)
