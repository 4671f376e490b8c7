"""Writes the page: one file of HTML with its plots, and the numbers as JSON."""

import base64
import html
import io
import json
import platform
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from kseq.files import replace_text
from movielens.results import (
    Results,
    backends_table,
    comparison,
    histories,
    ranking,
    verdict,
)
from movielens.shown import User
from movielens.workspace import BASELINE

STYLE_OF_PLOTS = {
    "font.size": 10,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#dddddd",
    "svg.fonttype": "none",
}
COLOURS = {
    "din": "#1565c0",
    "dien": "#c2185b",
    "dsin": "#2e7d32",
    "bst": "#e07b00",
    BASELINE: "#555555",
}
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem;
       margin: 1.5rem auto; padding: 0 1rem; color: #222; }
h2 { margin-top: 2.2rem; }
.verdict { background: #f1f5fa; border-left: 4px solid #1565c0;
           padding: .2rem 1rem; }
.row { display: flex; flex-wrap: wrap; gap: 1rem; }
.row > * { flex: 1 1 18rem; min-width: 0; margin: 0; }
.plots { display: grid; gap: 1rem;
         grid-template-columns:
             repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); }
.plots p { margin: 0; }
img { width: 100%; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .7rem .2rem 0; border-bottom: 1px solid #ddd;
         text-align: left; vertical-align: top; }
.numbers td + td { white-space: nowrap; }
.attention { width: 100%; table-layout: fixed; font-size: .85rem; }
.attention td { padding: .1rem .4rem .1rem 0; overflow-wrap: anywhere; }
.attention th:first-child { width: 46%; }
.bar { height: .8rem; background: #1565c0; }
.bar.negative { background: #e07b00; }
.hit { font-weight: bold; color: #2e7d32; }
ol { padding-left: 1.4rem; }
"""


def write_report(out: Path, results: Results, users: list[User]) -> None:
    with mpl.rc_context(STYLE_OF_PLOTS):
        page = "".join(parts(results, users))
    numbers = json.dumps(asdict(results), indent=1)
    replace_text(out.with_suffix(".json"), numbers)
    replace_text(
        out,
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Click models on MovieLens-100K</title><style>{STYLE}</style>"
        f"</head><body>\n{page}</body></html>\n",
    )


def parts(results: Results, users: list[User]) -> Iterator[str]:
    settings, data = results.settings, results.data
    yield heading("Which movie will the user like next?", 1)
    yield text(
        f"Results of {len(settings.models)} models that were trained on the "
        f"likes of MovieLens-100K with {', '.join(results.backends)}:"
    )
    sentences = "".join(text(sentence) for sentence in verdict(results))
    yield f'<div class="verdict">{sentences}</div>\n'

    yield heading("The models compared")
    yield table(*comparison(results))
    yield text(
        f"Each of {data['users in the test']} users' last like (a rating of 4 "
        f"or 5 stars) against {settings.negatives} movies that the user never "
        "rated, drawn as often as they are liked: a model that knows only "
        "what is popular gets about 0.5 (were the negatives uniform, it "
        f"would get {data['gAUC of popularity, were negatives uniform']:.2f}). "
        "The like before the last one decides when "
        "to stop; the models are trained on the earlier ones, each with one "
        f"such negative. The history has the last {settings.steps} likes of "
        "an earlier second. gAUC is the mean of the users' AUC; AUC also "
        "compares one user's movies with another's. ± is the standard "
        f"deviation over {len(settings.seeds)} seeds of the initial weights "
        "and of the order of the batches. CPU seconds: "
        f"{' / '.join(results.backends)}, compilation included."
    )
    yield '<div class="plots">'
    yield plot("gAUC on the test, each seed", plot_seeds(results))
    yield plot("gAUC on the validation, each run", curves(results, "val_gauc"))
    yield plot("training loss, each run", curves(results, "loss"))
    yield plot("gAUC with other histories", plot_histories(results))
    yield "</div>"

    yield heading("Is the history read, and its order?")
    yield text(
        "The trained models again, with the same candidates, but with the "
        "steps of each history in a random order (DSIN: in each session), or "
        "with the history of another user. What a model then loses, it had "
        "from the order, or from the history at all. DIN and the mean do not "
        "see the order."
    )
    yield table(*histories(results))

    if users:
        yield heading("What DIN attends to, and what ranks first")
        yield text(
            f"{len(users)} users, drawn among those with a full history. DIN's "
            "weights are those of the paper: not normalised, so they may be "
            "negative (orange). Ranked are all movies that the user had not "
            "rated before."
        )
        for number, user in enumerate(users, 1):
            yield from user_parts(number, user)

    yield heading("Where backends differ")
    yield text(
        "The same weights, batches and order of rows on each backend, in "
        "separate processes. Before training only rounding differs. Training "
        "builds each step on the rounding of the one before, so differences "
        "grow; where a unit has a kink (the ReLU in the Transformers of DSIN "
        "and BST), rounding decides whether it learns, and a run may stop at "
        "another epoch. After loading: the largest difference between "
        f"predictions of the model that {results.writer} saved and the other "
        "backends loaded."
    )
    yield table(*backends_table(results))

    yield heading("Data, settings, versions")
    settings_shown = {k: str(v) for k, v in asdict(settings).items()}
    yield table(["data", ""], [[k, str(v)] for k, v in data.items()])
    yield table(["setting", ""], [[k, v] for k, v in settings_shown.items()])
    yield table(
        ["backend", "versions"],
        [
            [name, ", ".join(f"{k} {v}" for k, v in packages.items())]
            for name, packages in results.versions.items()
        ],
    )
    yield text(
        f"Python {platform.python_version()}, {platform.platform()}, "
        f"{results.seconds:.0f} s in total. {results.citation}"
    )


def user_parts(number: int, user: User) -> Iterator[str]:
    yield f"<h3>User {number} liked next: {html.escape(user.liked)}</h3>"
    if user.attention is not None:
        largest = np.abs(user.attention).max()
        rows = "".join(
            f"<tr><td>{html.escape(title)}</td>"
            + "".join(f"<td>{bar(w / largest)}</td>" for w in weights)
            + "</tr>"
            for title, weights in zip(
                user.history, user.attention.T, strict=True
            )
        )
        heads = ("the history, oldest first", user.liked, first(user))
        cells = "".join(f"<th>{html.escape(head)}</th>" for head in heads)
        yield f'<table class="attention"><tr>{cells}</tr>{rows}</table>\n'
    yield '<div class="row">'
    for ranked in user.rankings:
        items = "".join(
            f"<li{' class=hit' if title == user.liked else ''}>"
            f"{html.escape(title)}</li>"
            for title in ranked.titles
        )
        yield (
            f"<div><p><b>First by {html.escape(ranked.by)}</b><br>"
            f"the movie liked next: {ranked.place} of {user.movies}</p>"
            f"<ol>{items}</ol></div>"
        )
    yield "</div>\n"


def first(user: User) -> str:
    return f"{user.rankings[0].titles[0]} (DIN's first)"


def bar(share: float) -> str:
    sign = "" if share >= 0 else " negative"
    return (
        f'<div class="bar{sign}" style="width:{abs(share):.0%}" '
        f'title="{share:.2f} of the largest"></div>'
    )


def new_figure() -> Figure:
    return Figure(figsize=(4.6, 3.2), layout="constrained")


def plot_seeds(results: Results) -> Figure:
    figure = new_figure()
    axes = figure.subplots()
    models = ranking(results)[::-1]
    for row, model in enumerate(models):
        values = results.values(model, "gauc")
        deviation = values.std(ddof=1) if len(values) > 1 else 0
        axes.errorbar(
            *(values.mean(), row),
            xerr=deviation,
            fmt="|",
            ms=14,
            capsize=4,
            color=COLOURS[model],
        )
        axes.plot(values, [row] * len(values), "o", color=COLOURS[model])
    axes.set_yticks(range(len(models)), models)
    axes.set_xlabel("gAUC")
    return figure


def curves(results: Results, metric: str) -> Figure:
    figure = new_figure()
    axes = figure.subplots()
    for model in ranking(results):
        for i, run in enumerate(r for r in results.runs if r.model == model):
            values = [epoch[metric] for epoch in run.epochs]
            axes.plot(
                range(1, len(values) + 1),
                values,
                color=COLOURS[model],
                lw=1.3,
                marker=".",
                label=None if i else model,
            )
    axes.set_xlabel("epoch")
    axes.legend(fontsize=9)
    return figure


def plot_histories(results: Results) -> Figure:
    figure = new_figure()
    axes = figure.subplots()
    models = ranking(results)
    shades = {"gauc": 1.0, "shuffled": 0.55, "foreign": 0.25}
    names = ("the user's", "steps shuffled", "another user's")
    for i, ((metric, alpha), name) in enumerate(
        zip(shades.items(), names, strict=True)
    ):
        axes.bar(
            np.arange(len(models)) + 0.27 * (i - 1),
            [results.values(model, metric).mean() for model in models],
            0.25,
            color="#1565c0",
            alpha=alpha,
            label=name,
        )
    axes.set_xticks(range(len(models)), models)
    axes.set_ylim(0.45)
    figure.legend(fontsize=9, loc="outside lower center", ncols=3)
    return figure


def plot(title: str, figure: Figure) -> str:
    file = io.BytesIO()
    figure.suptitle(title, fontsize=11)
    figure.savefig(file, format="svg")
    data = base64.b64encode(file.getvalue()).decode()
    return (
        f'<p><img alt="{html.escape(title)}" '
        f'src="data:image/svg+xml;base64,{data}"></p>\n'
    )


def heading(title: str, level: int = 2) -> str:
    return f"<h{level}>{html.escape(title)}</h{level}>\n"


def text(content: str) -> str:
    return f"<p>{html.escape(content)}</p>\n"


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    def row(cells: list[str], tag: str) -> str:
        inner = "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells)
        return f"<tr>{inner}</tr>\n"

    body = "".join(row(cells, "td") for cells in rows)
    return (
        '<div class="scroll"><table class="numbers">\n'
        f"{row(head, 'th')}{body}</table></div>\n"
    )
