"""The numbers of a run, which are printed, plotted and saved as JSON."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kseq.data import Samples
from kseq.metrics import group_auc
from movielens.data import CITATION, LIKED_FROM, Catalogue, likes
from movielens.metrics import auc, largest_difference
from movielens.workspace import BASELINE, MODELS, Settings, Workspace

TOLERANCE = 1e-5  # before training and after loading


@dataclass
class Run:
    """One model, trained with one seed on one backend."""

    model: str
    seed: int
    backend: str
    # By epoch: loss and val_gauc.
    epochs: list[dict[str, float]] = field(default_factory=list)
    # gauc, auc, seconds, ...: of the best epoch, on the test.
    tested: dict[str, float] = field(default_factory=dict)


@dataclass
class Results:
    backends: list[str]
    settings: Settings
    data: dict[str, Any]
    popularity: dict[str, float]  # gauc and auc
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    weights: dict[str, int] = field(default_factory=dict)  # by model
    # Sorted by seed and by backend.
    runs: list[Run] = field(default_factory=list)
    # By model: [before, after training], of two backends' predictions
    differences: dict[str, list[float]] = field(default_factory=dict)
    # By model and backend, from the writer's predictions
    loading: dict[str, dict[str, float]] = field(default_factory=dict)
    # Of the variance of DIN's weights: step, candidate, both
    attention: list[float] = field(default_factory=list)
    seconds: float = 0.0
    citation: str = CITATION

    @property
    def writer(self) -> str:
        return self.backends[0]

    def of(self, model: str) -> list[Run]:
        """Return a run for each seed."""
        runs: dict[int, Run] = {}
        for run in self.runs:
            if run.model == model:
                runs.setdefault(run.seed, run)
        return [*runs.values()]

    def first_seed(self, model: str) -> list[Run]:
        """Return a run for each backend, all of them with the first seed."""
        first = self.settings.seeds[0]
        return [r for r in self.runs if (r.model, r.seed) == (model, first)]

    def values(self, model: str, metric: str) -> np.ndarray:
        """Return a number of the test for each seed."""
        return np.array([run.tested[metric] for run in self.of(model)])


def describe(
    parts: dict[str, Samples], catalogue: Catalogue, source: str
) -> dict[str, Any]:
    test = parts["test"]
    return {
        "source": source,
        "like": f"rating of {LIKED_FROM:g} or more",
        "movies": len(catalogue.titles) - 1,
        "sets of genres": len(catalogue.genre_sets) - 1,
        "users in the test": len(np.unique(test.user)),
        **{f"rows, {name}": len(part) for name, part in parts.items()},
        "mean length of a history in the test": float(
            test.inputs["seq_length"].mean()
        ),
    }


def popularity(parts: dict[str, Samples], movies: int) -> dict[str, float]:
    test = parts["test"]
    scores = likes(parts["train"], movies)[test.inputs["movie"]]
    return {
        "gauc": group_auc(test.label, scores, test.user),
        "auc": auc(test.label, scores),
    }


def mean_and_deviation(values: np.ndarray) -> str:
    if len(values) < 2:
        return f"{values.mean():.4f}"
    return f"{values.mean():.4f} ± {values.std(ddof=1):.4f}"


def ranking(results: Results) -> list[str]:
    """Return the models, the best gAUC first."""
    return sorted(
        results.settings.models,
        key=lambda model: -results.values(model, "gauc").mean(),
    )


def comparison(results: Results) -> tuple[list[str], list[list[str]]]:
    """Return the header and rows of a table of models and popularity."""
    head = ["", "gAUC", "AUC", "weights", "epochs", "CPU s an epoch"]
    rows = []
    for model in ranking(results):
        runs = results.of(model)
        seconds = [
            f"{run.tested['seconds'] / len(run.epochs):.1f}"
            for run in results.first_seed(model)
        ]
        rows.append(
            [
                MODELS[model],
                mean_and_deviation(results.values(model, "gauc")),
                mean_and_deviation(results.values(model, "auc")),
                f"{results.weights[model]:,}",
                ", ".join(str(len(run.epochs)) for run in runs),
                " / ".join(seconds),
            ]
        )
    gauc, auc = (f"{results.popularity[name]:.4f}" for name in ("gauc", "auc"))
    rows.append(["the movie's number of likes", gauc, auc, "0", "", ""])
    return head, rows


def histories(results: Results) -> tuple[list[str], list[list[str]]]:
    """Return a table of the gAUC with histories that are not the user's."""
    names = {
        "gauc": "the user's history",
        "shuffled": "its steps shuffled",
        "foreign": "another user's history",
    }
    return ["gAUC with", *names.values()], [
        [
            MODELS[model],
            *(mean_and_deviation(results.values(model, n)) for n in names),
        ]
        for model in ranking(results)
    ]


def backends_table(results: Results) -> tuple[list[str], list[list[str]]]:
    head = ["", *(f"gAUC on {name}" for name in results.backends)]
    head += ["difference before training", "after", "after loading"]
    return head, [
        [
            MODELS[model],
            *(f"{r.tested['gauc']:.6f}" for r in results.first_seed(model)),
            *(f"{d:.0e}" for d in results.differences[model]),
            f"{max(results.loading[model].values()):.0e}"
            if model in results.loading
            else "",
        ]
        for model in results.settings.models
    ]


def verdict(results: Results) -> list[str]:
    """Return sentences: do the models earn their keep, and do they agree?"""
    return [
        *_quality(results),
        _use_of_histories(results),
        *([_attention(results)] if results.attention else []),
        _agree(results),
    ]


def _quality(results: Results) -> Iterator[str]:
    mean = results.values(BASELINE, "gauc")
    seeds = len(mean)
    for model in ranking(results):
        if model == BASELINE:
            continue
        gain = results.values(model, "gauc") - mean
        better = int((gain > 0).sum())
        word = "above" if gain.mean() > 0 else "below"
        yield (
            f"{model.upper()} ranks a user's next movie with gAUC "
            f"{mean_and_deviation(results.values(model, 'gauc'))}: "
            f"{abs(gain.mean()):.4f} {word} the mean of the history "
            f"({mean_and_deviation(mean)}), better with {better} of {seeds} "
            f"seeds. Popularity: {results.popularity['gauc']:.4f}."
        )


def _use_of_histories(results: Results) -> str:
    lost = {
        name: {
            model: float(
                (
                    results.values(model, "gauc") - results.values(model, name)
                ).mean()
            )
            for model in results.settings.models
        }
        for name in ("shuffled", "foreign")
    }
    order = max(lost["shuffled"], key=lost["shuffled"].get)
    return (
        "With another user's history the models lose "
        f"{min(lost['foreign'].values()):.3f} to "
        f"{max(lost['foreign'].values()):.3f} of gAUC. The order of the steps "
        f"matters most to {order.upper()}, which loses "
        f"{lost['shuffled'][order]:.3f} if they are shuffled."
    )


def _attention(results: Results) -> str:
    step, candidate, both = results.attention
    return (
        f"Of the variance of DIN's weights within a user, {step:.0%} is due to "
        f"the step, {candidate:.0%} to the candidate, and {both:.0%} to both "
        "together, which is what attention is for."
    )


def _agree(results: Results) -> str:
    if len(results.backends) < 2:
        return f"All on {results.writer} only."
    gaps = {
        model: float(np.ptp([r.tested["gauc"] for r in runs]))
        for model in results.settings.models
        if (runs := results.first_seed(model))
    }
    worst = max(gaps, key=lambda model: gaps[model])
    return (
        f"From the same weights and batches, {', '.join(results.backends)} "
        f"reach the same gAUC to {max(gaps.values()):.0e} ({worst.upper()} "
        "differs most)."
    )


def compare_backends(results: Results, workspace: Workspace) -> None:
    """Compare the backends' predictions before and after training."""
    for model in results.settings.models:
        predictions = [
            np.load(workspace.predictions(backend, model))
            for backend in results.backends
        ]
        results.differences[model] = [
            max(
                (
                    largest_difference(a[when], b[when])
                    for a, b in itertools.combinations(predictions, 2)
                ),
                default=0.0,
            )
            for when in (0, 1)
        ]


def compare_loaded(results: Results, workspace: Workspace) -> None:
    """Compare predictions of loaded models with the writer's predictions."""
    for backend in results.backends:
        with np.load(workspace.explained(backend)) as explained:
            if "attention shares" in explained:
                results.attention = explained["attention shares"].tolist()
            for name in explained:
                if name.endswith(" test"):
                    model = name.removesuffix(" test")
                    file = workspace.predictions(results.writer, model)
                    difference = largest_difference(
                        np.load(file)[1], explained[name]
                    )
                    by_backend = results.loading.setdefault(model, {})
                    by_backend[backend] = difference


def disagreements(results: Results) -> Iterator[str]:
    """Yield differences above the tolerance; NaN is one."""
    for model, (before, _) in results.differences.items():
        if not before <= TOLERANCE:
            yield f"{model} before training: {before:.1e}"
    for model, by_backend in results.loading.items():
        for backend, difference in by_backend.items():
            if not difference <= TOLERANCE:
                yield (
                    f"{model} saved by {results.writer}, loaded by {backend}: "
                    f"{difference:.1e}"
                )
