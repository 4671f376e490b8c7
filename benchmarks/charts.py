"""Plots of the results."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.contenders import CONTENDERS
from benchmarks.results import Results
from benchmarks.workloads import WORKLOADS

COLOURS = {"tensorflow": "#e07b00", "torch": "#c2185b", "jax": "#1565c0"}
TITLES = {
    "din": "DIN",
    "augru": "AUGRU",
    "bilstm": "BiLSTM",
    "transformer": "Transformer",
    "pooling": "pooling",
    "weighted": "pooling",
}
PEER_OPACITY = 0.35
STYLE = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "kseq",  # the same plot is the same bytes
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
}
# A bar: its dark part, its end, and the quartiles, where there are any.
Bar = tuple[float, float, tuple[float, float] | None]


def digits(value: float) -> str:
    """About three significant digits, without an exponent."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def draw(results: Results, folder: Path) -> dict[str, str]:
    """Write the plots; return their files by title."""
    by_title: dict[str, list[str]] = {}
    for name in results.workloads():
        title = TITLES[WORKLOADS[name].kind]
        by_title.setdefault(title, []).append(name)
    figures = {
        title: _figure(
            {name: _times(results, name) for name in names},
            "CPU ms of one call: forward (dark), forward + backward",
        )
        for title, names in by_title.items()
    }
    first = ("BiLSTM", "AUGRU H=16", "Transformer T=1000")
    figures["first call"] = _figure(
        {name: _first_calls(results, name) for name in first},
        "seconds of the first calls: forward (dark), forward + backward",
    )
    figures["memory"] = _figure(
        {name: _peaks(results, name) for name in results.workloads()},
        "MB that the first training step adds at most",
    )
    files = {}
    for title, figure in figures.items():
        if figure is not None:
            files[title] = f"{title.lower().replace(' ', '-')}.svg"
            with mpl.rc_context(STYLE):
                figure.savefig(
                    folder / files[title],
                    metadata={"Creator": None, "Date": None},
                )
    return files


def _times(results: Results, workload: str) -> dict[str, Bar]:
    return {
        name: (
            row["forward"]["median"],
            row["train"]["median"],
            (row["train"]["low"], row["train"]["high"]),
        )
        for name, row in results.times_of(workload).items()
        if "train" in row
    }


def _first_calls(results: Results, workload: str) -> dict[str, Bar]:
    return {
        name: (row["first"]["forward"], sum(row["first"].values()), None)
        for name, row in results.times_of(workload).items()
        if "first" in row
    }


def _peaks(results: Results, workload: str) -> dict[str, Bar]:
    return {
        name: (0, row["mb"], None)
        for name, row in results.peaks_of(workload).items()
        if "mb" in row
    }


def _figure(panels: dict[str, dict[str, Bar]], title: str) -> Figure | None:
    """One panel for each workload, in two columns; one bar a contender."""
    panels = {name: bars for name, bars in panels.items() if bars}
    if not panels:
        return None
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    height = rows * (0.19 * max(map(len, panels.values())) + 0.75) + 0.3
    with mpl.rc_context(STYLE):
        figure = Figure((8.6, height), layout="constrained")
        figure.get_layout_engine().set(h_pad=0.1)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for ax, (name, bars) in zip(axes, panels.items(), strict=False):
            _panel(ax, name, bars)
        for ax in axes[len(panels) :]:
            ax.set_axis_off()
        figure.suptitle(title, fontsize=9.5)
    return figure


def _panel(ax: Axes, title: str, bars: dict[str, Bar]) -> None:
    ax.set_title(title, loc="left", fontweight="bold")
    # A bar more than three times as long as the others is cut.
    *others, limit = sorted(end for _, end, _ in bars.values())
    if others and limit > 3 * others[-1]:
        limit = 1.3 * others[-1]
    for y, (name, (dark, end, quartiles)) in enumerate(bars.items()):
        _bar(ax, y, name, min(dark, limit), min(end, limit))
        label_x = min(max(dark, end), limit)
        if quartiles:
            whisker = [min(x, limit) for x in quartiles]
            ax.plot(whisker, [y, y], color="#444444", linewidth=1)
            label_x = max(label_x, whisker[1])
        text = f"{'→ ' if end > limit else ''}{digits(end)}"
        ax.text(label_x + 0.012 * limit, y, text, va="center", size=8)
    ax.set_yticks(range(len(bars)), [CONTENDERS[name].title for name in bars])
    for label, name in zip(ax.get_yticklabels(), bars, strict=True):
        label.set_color(COLOURS[CONTENDERS[name].framework])
        label.set_fontsize(8)
        if CONTENDERS[name].is_kseq:
            label.set_fontweight("bold")
    ax.invert_yaxis()
    ax.set_xlim(0, 1.14 * limit)
    ax.grid(axis="x")
    ax.tick_params(left=False)


def _bar(ax: Axes, y: int, name: str, dark: float, end: float) -> None:
    colour = COLOURS[CONTENDERS[name].framework]
    opacity = 1 if CONTENDERS[name].is_kseq else PEER_OPACITY
    ax.barh(y, end, color=colour, alpha=0.6 * opacity)
    ax.barh(y, dark, color=colour, alpha=opacity)
