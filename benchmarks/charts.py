"""Pictures of the results, wide enough for a page of text."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from benchmarks.lineup import FRAMEWORKS, LINEUP
from benchmarks.results import Results
from benchmarks.text import digits
from benchmarks.works import WORKS

COLOURS = {"tensorflow": "#e07b00", "torch": "#c2185b", "jax": "#1565c0"}
KINDS = {
    "din": "DIN",
    "augru": "AUGRU",
    "bilstm": "BiLSTM",
    "transformer": "Transformer",
    "pooling": "pooling",
    "weighted": "pooling",
    "k_max": "k-max",
    "positions": "positions",
    "bias": "bias",
}
PEERS = 0.35  # opacity of those that are not kseq
STYLE = {
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
}


def draw(results: Results, folder: Path) -> dict[str, str]:
    """Writes the pictures: their files by title."""
    works: dict[str, list[str]] = {}
    for work in results.works():
        works.setdefault(KINDS[WORKS[work].kind], []).append(work)
    figures = {
        kind: _bars(
            {work: _times(results, work) for work in names},
            "CPU ms of one call: forward (dark), forward + backward",
        )
        for kind, names in works.items()
    }
    figures["first call"] = _bars(
        {
            work: _first(results, work)
            for work in ("BiLSTM", "AUGRU H=16", "Transformer T=1000")
            if work in results.works()
        },
        "seconds of the first calls: forward (dark), and forward + backward",
    )
    figures["memory"] = _bars(
        {
            work: _peaks(results, work)
            for work in dict.fromkeys(row["work"] for row in results.peaks)
        },
        "MB that the first step of training adds at most",
    )
    files = {}
    for title, figure in figures.items():
        if figure is not None:
            files[title] = f"{title.lower().replace(' ', '-')}.png"
            save(figure, folder / files[title])
    return files


def save(figure: Figure, path: Path) -> None:
    # Imported here, as in text.py.
    from kseq.files import replacing_path

    # No date in the file: the same picture is the same bytes.
    with replacing_path(path) as place:
        figure.savefig(place, dpi=120, metadata={"Software": None})


def _times(results: Results, work: str) -> Iterable[tuple[str, Any]]:
    for name, row in results.of(work).items():
        if "train" in row:
            yield name, (row["forward"], row["train"])


def _first(results: Results, work: str) -> Iterable[tuple[str, Any]]:
    for name, row in results.of(work).items():
        if "first" in row:
            forward = row["first"]["forward"]
            both = forward + row["first"]["train"]
            yield name, ({"median": forward}, {"median": both})


def _peaks(results: Results, work: str) -> Iterable[tuple[str, Any]]:
    for name, row in results.peaks_of(work).items():
        if "mb" in row:
            yield name, ({"median": 0}, {"median": row["mb"]})


def _bars(panels: dict[str, Any], title: str) -> Figure | None:
    """A panel for each work, two beside one another; a bar a contender."""
    filled = {work: list(bars) for work, bars in panels.items()}
    filled = {work: bars for work, bars in filled.items() if bars}
    if not filled:
        return None
    columns = min(2, len(filled))
    rows = -(-len(filled) // columns)
    tallest = max(map(len, filled.values()))
    with mpl.rc_context(STYLE):
        height = rows * (0.19 * tallest + 0.65) + 0.6
        figure = Figure((8.6, height), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for ax, (work, bars) in zip(axes, filled.items(), strict=False):
            _panel(ax, work, bars)
        for ax in axes[len(filled) :]:
            ax.set_axis_off()
        figure.suptitle(title, fontsize=9.5)
        used = {
            LINEUP[name].framework for b in filled.values() for name, _ in b
        }
        figure.legend(
            handles=[
                Patch(color=COLOURS[f], label=name)
                for f, name in FRAMEWORKS.items()
                if f in used
            ],
            loc="outside lower center",
            ncols=3,
            frameon=False,
        )
    return figure


def _panel(ax: Axes, work: str, bars: list[tuple[str, Any]]) -> None:
    ax.set_title(work, loc="left", fontweight="bold")
    largest = max(outer["median"] for _, (_, outer) in bars)
    # A bar that dwarfs the others is cut.
    others = sorted(outer["median"] for _, (_, outer) in bars)[:-1]
    limit = largest
    if others and largest > 3 * others[-1]:
        limit = 1.3 * others[-1]
    for y, (name, (inner, outer)) in enumerate(bars):
        contender = LINEUP[name]
        colour = COLOURS[contender.framework]
        opacity = 1 if contender.is_ours else PEERS
        median = outer["median"]
        ax.barh(y, min(median, limit), color=colour, alpha=0.6 * opacity)
        ax.barh(y, min(inner["median"], limit), color=colour, alpha=opacity)
        end = min(median, limit)
        if "low" in outer:
            whisker = [min(outer["low"], limit), min(outer["high"], limit)]
            ax.plot(whisker, [y, y], color="#444444", linewidth=1)
            end = max(end, whisker[1])
        cut = "→ " if median > limit else ""
        ax.text(
            end + 0.012 * limit,
            y,
            f"{cut}{digits(median)}",
            va="center",
            size=8,
        )
    ax.set_yticks(range(len(bars)), [LINEUP[name].label for name, _ in bars])
    for label, (name, _) in zip(ax.get_yticklabels(), bars, strict=True):
        contender = LINEUP[name]
        label.set_color(COLOURS[contender.framework])
        label.set_fontsize(8)
        label.set_fontweight("bold" if contender.is_ours else "normal")
    ax.invert_yaxis()
    ax.set_xlim(0, 1.14 * limit)
    ax.grid(axis="x")
    ax.tick_params(left=False)
