"""The numbers of a run, which are printed, plotted and saved as JSON."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kseq.data import Samples
from movielens.data import (
    CITATION,
    LIKED_FROM,
    Catalogue,
    popularity,
)
from movielens.metrics import auc, largest_difference
from movielens.workspace import MODELS, Settings, Workspace

METRICS = {
    "auc": "AUC",
    "train_loss": "training loss",
    "valid_loss": "validation loss",
}
TOLERANCE = 1e-5  # before training and after loading


@dataclass
class Results:
    backends: list[str]
    settings: Settings
    data: dict[str, Any]
    popularity_auc: dict[str, float]
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    weights: dict[str, int] = field(default_factory=dict)  # by model
    # [model][backend][epoch - 1] of METRICS and seconds
    training: dict[str, dict[str, list[dict[str, float]]]] = field(
        default_factory=dict
    )
    # [model][pair of backends][epoch], epoch 0 is before training
    differences: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    writer: str = ""
    # [model][backend]: difference after loading from the writer's predictions
    loading: dict[str, dict[str, float]] = field(default_factory=dict)
    seconds: float = 0.0
    citation: str = CITATION

    def values(self, model: str, metric: str) -> dict[str, list[float]]:
        """Return a metric by backend and epoch."""
        return {
            backend: [epoch[metric] for epoch in epochs]
            for backend, epochs in self.training[model].items()
        }

    def largest_differences(self, model: str) -> list[float]:
        """Return the maximum over all pairs of backends, by epoch."""
        pairs = self.differences[model].values()
        return [max(epoch) for epoch in zip(*pairs, strict=True)]


def describe(
    train: Samples, valid: Samples, catalogue: Catalogue, source: str
) -> dict[str, Any]:
    return {
        "source": source,
        "like": f"rating of {LIKED_FROM:g} or more",
        "movies": len(catalogue.titles) - 1,
        "sets of genres": len(catalogue.genre_sets) - 1,
        "users": len(np.union1d(train.user, valid.user)),
        "training samples": len(train),
        "validation samples": len(valid),
        "last training time": int(train.time[-1]),
        "first validation time": int(valid.time[0]),
        "share of likes in training": float(train.label.mean()),
        "share of likes in validation": float(valid.label.mean()),
        "validation samples of users seen in training": float(
            np.isin(valid.user, train.user).mean()
        ),
        "validation samples with no like before them": float(
            (valid.inputs["seq_length"] == 0).mean()
        ),
    }


def popularity_auc(
    train: Samples, valid: Samples, movies: int
) -> dict[str, float]:
    return {
        name: auc(valid.label, scores[valid.inputs["movie"]])
        for name, scores in popularity(train, movies).items()
    }


def comparison(results: Results) -> tuple[list[str], list[list[str]]]:
    """Return the header and rows of a table of models and popularity."""
    head = [
        *("", "weights", "AUC"),
        *["largest difference of a prediction"][
            : int(len(results.backends) > 1)
        ],
        *(f"seconds on {backend}" for backend in results.backends),
    ]
    rows = []
    for model in results.settings.models:
        aucs = results.values(model, "auc").values()
        seconds = results.values(model, "seconds").values()
        rows.append(
            [
                MODELS[model],
                f"{results.weights[model]:,}",
                show_range([epochs[-1] for epochs in aucs]),
                *(f"{d:.1e}" for d in results.largest_differences(model)[-1:]),
                *(f"{sum(epochs):.0f}" for epochs in seconds),
            ]
        )
    for name, value in results.popularity_auc.items():
        blank = [""] * (len(head) - 3)
        rows.append([f"the movie's {name}", "0", show(value), *blank])
    return head, rows


def show_range(values: list[float]) -> str:
    low, high = show(min(values)), show(max(values))
    return low if low == high else f"{low} to {high}"


def show(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def compare_backends(results: Results, workspace: Workspace) -> None:
    """Compare the backends' predictions, by model and epoch."""
    for model in results.settings.models:
        predictions = {
            backend: np.load(workspace.predictions(backend, model))
            for backend in results.backends
        }
        results.differences[model] = {
            f"{a} and {b}": [
                largest_difference(*epoch)
                for epoch in zip(predictions[a], predictions[b], strict=True)
            ]
            for a, b in itertools.combinations(results.backends, 2)
        }


def compare_loaded(results: Results, workspace: Workspace) -> None:
    """Compare predictions of loaded models with the writer's predictions."""
    for model in results.settings.models:
        written = np.load(workspace.predictions(results.writer, model))[-1]
        results.loading[model] = {
            backend: largest_difference(
                written, np.load(workspace.loaded_predictions(backend, model))
            )
            for backend in results.backends
        }


def disagreements(results: Results) -> Iterator[str]:
    """Yield differences above the tolerance; NaN is one."""
    for model in results.settings.models:
        for pair, by_epoch in results.differences[model].items():
            if not by_epoch[0] <= TOLERANCE:
                yield f"{model} before training, {pair}: {by_epoch[0]:.1e}"
        for backend, difference in results.loading[model].items():
            if not difference <= TOLERANCE:
                yield (
                    f"{model} saved by {results.writer}, loaded by {backend}: "
                    f"{difference:.1e}"
                )
