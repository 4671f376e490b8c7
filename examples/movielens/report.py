"""Writes the report: plots, an HTML page with them, and the numbers."""

import html
import json
import math
import platform
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kseq.data import Samples
from kseq.files import replacing_path
from movielens.data import Catalogue
from movielens.results import METRICS, Results, comparison, show
from movielens.workspace import BASELINE, MODELS, Workspace

NUMBERS = "report.json"
STYLE_OF_PLOTS = {
    "font.size": 10,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
}
COLOURS = {"tensorflow": "#e07b00", "torch": "#c2185b", "jax": "#1565c0"}
MARKERS = {"tensorflow": "s", "torch": "o", "jax": "x"}
MODEL_COLOURS = {
    "din": "#1565c0",
    "dien": "#c2185b",
    "dsin": "#2e7d32",
    "bst": "#e07b00",
    "mean": "#555555",
}
# The backends' curves coincide: thin ones are shown over wide ones.
WIDTHS = {"tensorflow": 7.0, "torch": 3.5, "jax": 1.2}


def check_replaceable(out: Path) -> None:
    """Raise ValueError if a folder contains anything but a report."""
    if out.is_dir() and (not any(out.iterdir()) or (out / NUMBERS).is_file()):
        return
    if out.exists():
        raise ValueError(
            f"out: expected a new folder or an earlier report; received {out}"
        )


def write_report(
    out: Path,
    results: Results,
    workspace: Workspace,
    catalogue: Catalogue,
    plotted: Samples,
) -> None:
    """Write the report to a temporary folder, then rename it to `out`."""
    with replacing_path(out) as new:
        new.mkdir()
        with mpl.rc_context(STYLE_OF_PLOTS):
            for name, figure in plots(results, workspace, catalogue, plotted):
                figure.savefig(new / f"{name}.png", dpi=110)
        (new / NUMBERS).write_text(json.dumps(asdict(results), indent=2))
        (new / "index.html").write_text(page(results, new), encoding="utf-8")


def plots(
    results: Results,
    workspace: Workspace,
    catalogue: Catalogue,
    plotted: Samples,
) -> Iterator[tuple[str, Figure]]:
    yield "loss", plot_losses(results)
    yield "auc", plot_auc(results)
    if len(results.backends) > 1:
        yield "differences", plot_differences(results)
    for i in range(0, len(plotted), 2):
        pair = slice(i, i + 2)
        weights = np.load(workspace.attention())[pair]
        figure = plot_attention(plotted[pair], weights, catalogue)
        yield f"attention-{i // 2 + 1}", figure


def plot_losses(results: Results) -> Figure:
    figure, panels = panels_by_model(results)
    for model, axes in panels.items():
        for metric, style in (("train_loss", "-"), ("valid_loss", "--")):
            for backend, values in results.values(model, metric).items():
                curve(
                    axes,
                    backend,
                    values,
                    style,
                    f"{backend}, {METRICS[metric]}",
                )
        epochs_axis(axes, results.settings.epochs)
    figure.supylabel("loss", fontsize=10)
    legend_below(figure, axes)
    return figure


def panels_by_model(results: Results) -> tuple[Figure, dict[str, Axes]]:
    """Return a figure with a panel for each model, at most three in a row."""
    models = results.settings.models
    columns = min(len(models), 3)
    rows = math.ceil(len(models) / columns)
    figure = Figure(figsize=(10, 1.2 + 3.2 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for axes in grid[len(models) :]:
        axes.remove()
    panels = dict(zip(models, grid, strict=False))
    for model, axes in panels.items():
        axes.set_title(MODELS[model], fontsize=9)
    return figure, panels


def plot_auc(results: Results) -> Figure:
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for model in results.settings.models:
        for backend, values in results.values(model, "auc").items():
            axes.plot(
                range(1, len(values) + 1),
                values,
                color=MODEL_COLOURS[model],
                marker=MARKERS[backend],
                ms=8,
                mfc="none",
                label=f"{model}, {backend}",
            )
    for (name, value), style in zip(
        results.popularity_auc.items(), (":", "-."), strict=True
    ):
        axes.axhline(value, color="grey", ls=style, label=f"movie's {name}")
    epochs_axis(axes, results.settings.epochs)
    axes.set_ylabel("AUC on the later ratings")
    axes.set_title("AUC by model, and of popularity")
    axes.legend(
        fontsize=8,
        handlelength=3.5,
        loc="center left",
        bbox_to_anchor=(1.01, 0.5),
    )
    return figure


def curve(
    axes: Axes, backend: str, values: list[float], style: str, label: str
) -> None:
    axes.plot(
        range(1, len(values) + 1),
        values,
        style,
        color=COLOURS[backend],
        lw=WIDTHS[backend],
        marker="o",
        ms=WIDTHS[backend] + 3,
        label=label,
    )


def epochs_axis(axes: Axes, epochs: int, first: int = 1) -> None:
    axes.set_xlabel("epoch")
    axes.set_xticks(range(first, epochs + 1))


def plot_differences(results: Results) -> Figure:
    figure, panels = panels_by_model(results)
    for model, axes in panels.items():
        pairs = results.differences[model].items()
        for (pair, by_epoch), width in zip(
            pairs, (7.0, 3.5, 1.2), strict=False
        ):
            # Zero has no logarithm.
            shown = np.maximum(by_epoch, 1e-8)
            axes.plot(shown, lw=width, marker="o", ms=width + 3, label=pair)
        epochs_axis(axes, results.settings.epochs, first=0)
        axes.set_xlabel("epoch (0: before training)")
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 1e-8), max(high, 1e-3))
    figure.supylabel("largest difference of a prediction", fontsize=10)
    legend_below(figure, axes)
    return figure


def legend_below(figure: Figure, axes: Axes) -> None:
    figure.legend(
        *axes.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=3,
        fontsize=8,
        handlelength=4,
    )


def plot_attention(
    pair: Samples, weights: np.ndarray, catalogue: Catalogue
) -> Figure:
    """Plot the weights of one history for two candidates, oldest first."""
    steps = int(pair.inputs["seq_length"][0])
    history = pair.inputs["hist_movie"][0, :steps]
    titles = [shorten(catalogue.titles[movie]) for movie in history]
    figure = Figure(figsize=(10, 1.4 + 0.22 * steps), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True, sharex=True)
    for axes, row, movie, liked in zip(
        panels, weights, pair.inputs["movie"], pair.label, strict=True
    ):
        bars = row[:steps]
        colours = np.where(bars >= 0, "#1565c0", "#e07b00")
        axes.barh(range(steps), bars, color=colours)
        axes.axvline(0, color="black", lw=0.8)
        axes.grid(False, axis="y")
        axes.set_title(
            f"candidate: {shorten(catalogue.titles[movie])}\n"
            f"{'liked' if liked else 'not liked'}; "
            f"{genres_of(catalogue, movie)}",
            fontsize=10,
        )
        axes.set_xlabel("weight of the step (not normalised)")
    panels[0].set_yticks(range(steps), titles, fontsize=8)
    panels[0].set_ylim(steps - 0.4, -0.6)
    figure.suptitle(f"One user's last {steps} likes, oldest at the top")
    return figure


def genres_of(catalogue: Catalogue, movie: int) -> str:
    genres = catalogue.genre_sets[catalogue.genre_set[movie]]
    return ", ".join(genres) or "-"


def shorten(title: str, characters: int = 48) -> str:
    if len(title) <= characters:
        return title
    return title[: characters - 1].rstrip() + "…"


STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem;
       margin: 2rem auto; padding: 0 1rem; color: #222; }
h2 { margin-top: 2.2rem; }
img { max-width: 100%; height: auto; }
table { display: block; overflow-x: auto; border-collapse: collapse;
        margin: 1rem 0;
        font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .8rem; border-bottom: 1px solid #ddd;
         text-align: left; }
"""


def page(results: Results, folder: Path) -> str:
    backends = results.backends
    models = results.settings.models
    parts = [
        heading(title(results)),
        text(
            "Will the user like this movie (4 stars or more)? The models "
            "read the user's earlier likes. Each was trained on "
            f"{', '.join(backends)}, from the same weights and with the same "
            "batches."
        ),
        heading("The models compared", 2),
        text(
            "Trained on the earlier ratings, evaluated on the later ones after "
            "the last epoch. AUC is exact; ties count half. Popularity is "
            "computed from the earlier ratings. The seconds of training "
            "include compilation. The largest difference is between two "
            "backends' predictions for a sample of the later ratings."
        ),
        table(*comparison(results)),
        image("auc.png", "AUC by epoch, model and backend"),
        text(
            "Each model has one curve for each backend. Where only one line of "
            "a colour is visible, the backends agree."
        ),
        text(
            "The training loss is the mean over the epoch's batches, measured "
            "before each update. Both losses exclude the small L2 penalty on "
            "the embeddings and DIEN's auxiliary loss."
        ),
        image("loss.png", "losses by epoch, model and backend"),
        *(training_part(results, model) for model in models),
        heading("Do the backends agree?", 2),
        *agreement_parts(results),
        heading("Saved by one backend, loaded by the others", 2),
        text(
            f"{results.writer} saved the models as .keras files; each backend "
            "loaded them in a new process. Largest difference from "
            f"{results.writer}'s predictions before saving:"
        ),
        table(
            ["model", *backends],
            [
                [model, *(f"{d:.1e}" for d in by_backend.values())]
                for model, by_backend in results.loading.items()
            ],
        ),
        *attention_parts(sorted(folder.glob("attention-*.png"))),
        heading("Data, settings, versions", 2),
        table(["data", ""], [[k, show(v)] for k, v in results.data.items()]),
        table(
            ["setting", ""],
            [[k, str(v)] for k, v in asdict(results.settings).items()],
        ),
        table(
            ["backend", "versions"],
            [
                [name, ", ".join(f"{k} {v}" for k, v in packages.items())]
                for name, packages in results.versions.items()
            ],
        ),
        text(
            f"Python {platform.python_version()}, {platform.platform()}, "
            f"{results.seconds:.0f} s in total. All numbers: ",
            f'<a href="{NUMBERS}">{NUMBERS}</a>.',
        ),
        heading("Citation", 2),
        text(results.citation),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{title(results)}</title><style>{STYLE}</style></head>"
        f"<body>\n{''.join(parts)}</body></html>\n"
    )


def title(results: Results) -> str:
    names = [m.upper() for m in results.settings.models if m != BASELINE]
    return f"{', '.join(names)} on MovieLens-100K"


def attention_parts(pictures: list[Path]) -> list[str]:
    if not pictures:
        return []
    return [
        heading("DIN's attention", 2),
        text(
            "One history with the two candidates that followed it. The weights "
            "are DIN's scores, as in the paper: they are not normalised and "
            "may be negative. The users are a random choice among those with "
            "a liked and a disliked candidate in succession and a history "
            "short enough for a plot."
        ),
        *(image(p.name, "attention over one user's history") for p in pictures),
    ]


def training_part(results: Results, model: str) -> str:
    rows = [
        [METRICS[metric], str(epoch), *(f"{value:.6f}" for value in values)]
        for metric in METRICS
        for epoch, values in enumerate(
            zip(*results.values(model, metric).values(), strict=True), 1
        )
    ]
    seconds = results.values(model, "seconds").values()
    rows.append(
        ["seconds to train", "all", *(f"{sum(s):.1f}" for s in seconds)]
    )
    return heading(MODELS[model], 3) + table(
        ["", "epoch", *results.backends], rows
    )


def agreement_parts(results: Results) -> list[str]:
    if len(results.backends) < 2:
        return [text("Only one backend was selected.")]
    epochs = range(1, results.settings.epochs + 1)
    return [
        text(
            "The largest difference between two backends' predictions for a "
            "validation sample. Before training only rounding differs. Each "
            "training step builds on the rounding of the previous ones, so "
            "the differences may grow. Three choices keep them small: smooth "
            "activations, because at ReLU's kink rounding decides whether a "
            "unit learns; an L2 penalty on the embeddings, because without it "
            "their gradients are sparse on TensorFlow, and Keras's Adam then "
            "squares repeated rows separately; and no dropout, because each "
            "backend draws its own. The Transformers of DSIN and BST keep "
            "their ReLU: BST's predictions differed by 6e-5 after 150 steps, "
            "and by 2e-7 with a smooth activation instead."
        ),
        image("differences.png", "largest differences by epoch"),
        table(
            ["model", "backends", "before", *(f"epoch {e}" for e in epochs)],
            [
                [model, pair, *(f"{d:.1e}" for d in by_epoch)]
                for model, pairs in results.differences.items()
                for pair, by_epoch in pairs.items()
            ],
        ),
    ]


def heading(title: str, level: int = 1) -> str:
    return f"<h{level}>{html.escape(title)}</h{level}>\n"


def text(content: str, markup: str = "") -> str:
    return f"<p>{html.escape(content)}{markup}</p>\n"


def image(file: str, description: str) -> str:
    return f'<p><img src="{file}" alt="{html.escape(description)}"></p>\n'


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    def row(cells: list[str], tag: str) -> str:
        inner = "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells)
        return f"<tr>{inner}</tr>\n"

    body = "".join(row(cells, "td") for cells in rows)
    return f"<table>\n{row(head, 'th')}{body}</table>\n"
