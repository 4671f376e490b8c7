"""The lines of `growth.py`, drawn, and how steep they are."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks import growth
from benchmarks.charts import COLOURS, KINDS, STYLE, save
from benchmarks.growth import CONTENDERS, slope
from benchmarks.lineup import FRAMEWORKS, LINEUP
from benchmarks.text import digits, markdown

TITLES = KINDS | {"weighted": "weighted sum"}
WHAT = {"ms": "CPU ms", "mb": "MB added"}
# Slopes that are not to be 1: see the introduction.
STEEP = {
    ("transformer", "T", "ms"): 2,
    ("augru", "E", "ms"): 2,
    ("bilstm", "E", "ms"): 2,
}
MARKERS = dict(zip(CONTENDERS, "os^", strict=True))
INTRODUCTION = """\
kseq's forward + backward as T, B, E and K grow, the others fixed, without
padding: CPU time of a call, and what a call adds to the process's memory at
most. In grey: slope 1, as fast as the size itself, or 2. The table has the
slopes between the two largest sizes, and the value at the largest: 1 is linear,
2 quadratic. Of attention, time is quadratic in T; memory, too, as long as all
scores are kept (up to 2^20), and then at most linear. Of the recurrent layers,
whose state is as wide as E, time in E comes to be quadratic. Below 1, a part
that does not grow still counts.
"""


def growth_section(folder: Path) -> Iterator[str]:
    """Draws the pictures; nothing, where growth was not measured."""
    found = growth.load(folder)
    if found is None:
        return
    lines = _lines(found["points"])
    yield f"## Growth\n\n{INTRODUCTION}\n{_revisions(found)}\n"
    for kind in growth.KINDS:
        name = f"growth-{kind}.png"
        save(_draw(kind, lines), folder / name)
        yield f"![{TITLES[kind]}]({name})\n"
    yield _slopes(lines)
    for point in found["points"]:
        if "error" in point:
            yield (
                f"{LINEUP[point['contender']].title}, {TITLES[point['kind']]}, "
                f"{point['axis']}={point['at']} fails: "
                f"{point['error'].split(':')[0]}.\n"
            )


def _revisions(found: dict[str, Any]) -> str:
    """Which kseq which kinds are of."""
    about, kinds = found["about"], {}
    for point in found["points"]:
        of_revision = kinds.setdefault(point["revision"], {})
        of_revision[TITLES[point["kind"]]] = None
    each = (f"{', '.join(names)} of kseq {r}" for r, names in kinds.items())
    return f"{about['date']}: {'; '.join(each)}."


def _lines(points: list[dict[str, Any]]) -> dict[tuple[str, ...], Any]:
    """By kind, axis, contender and what: the points (size, value)."""
    lines: dict[tuple[str, ...], Any] = {}
    for point in points:
        for what in WHAT:
            if what in point:
                key = (point["kind"], point["axis"], point["contender"], what)
                lines.setdefault(key, []).append((point["at"], point[what]))
    return lines


def _draw(kind: str, lines: dict[tuple[str, ...], Any]) -> Figure:
    axes = [line for line in growth.lines() if line.kind == kind]
    with mpl.rc_context(STYLE):
        figure = Figure((8.6, 4.8), layout="constrained")
        panels = figure.subplots(
            2, len(axes), squeeze=False, sharex="col", sharey="row"
        )
        for column, line in zip(panels.T, axes, strict=True):
            fixed = ", ".join(f"{k}={v}" for k, v in line.fixed.items())
            column[0].set_title(f"{line.axis}  ({fixed})")
            column[1].set_xlabel(line.axis)
            for ax, what in zip(column, WHAT, strict=True):
                _panel(ax, kind, line.axis, what, lines)
        for row, label in zip(panels, WHAT.values(), strict=True):
            row[0].set_ylabel(label)
        named = {}
        for ax in panels.flat:
            handles, labels = ax.get_legend_handles_labels()
            named |= zip(labels, handles, strict=True)
        figure.legend(
            named.values(),
            named.keys(),
            loc="outside lower center",
            ncols=len(named),
            frameon=False,
        )
        figure.suptitle(
            f"{TITLES[kind]}: forward + backward",
            fontweight="bold",
            fontsize=9.5,
        )
    return figure


def _panel(
    ax: Axes, kind: str, axis: str, what: str, lines: dict[tuple[str, ...], Any]
) -> None:
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.grid()
    guide = None
    for name in CONTENDERS:
        points = lines.get((kind, axis, name, what), [])
        # Less is what a page or two of the process make.
        points = [(x, y) for x, y in points if what != "mb" or y >= 0.1]
        if not points:
            continue
        framework = LINEUP[name].framework
        ax.plot(
            *zip(*points, strict=True),
            color=COLOURS[framework],
            marker=MARKERS[name],
            markersize=4,
            label=FRAMEWORKS[framework],
        )
        if guide is None or points[-1] > guide[-1]:
            guide = points
    if guide is not None:
        steep = STEEP.get((kind, axis, what), 1)
        # Beside the upper end: what is small costs what does not grow.
        (x0, _), (x1, y1) = guide[-3:][0], guide[-1]
        ax.plot(
            [x0, x1],
            [y1 * (x0 / x1) ** steep, y1],
            color="#999999",
            linestyle=":" if steep == 1 else "-.",
            zorder=1,
            label=f"slope {steep}",
        )


def _slopes(lines: dict[tuple[str, ...], Any]) -> str:
    rows = []
    for line in growth.lines():
        row = [TITLES[line.kind], line.axis]
        for what in WHAT:
            for name in CONTENDERS:
                points = lines.get((line.kind, line.axis, name, what), [])
                row.append(_slope(points))
        rows.append(row)
    titles = ["layer", "grows"]
    for label in WHAT.values():
        titles += [f"{name}, {label}" for name in FRAMEWORKS.values()]
    return markdown(titles, rows)


def _slope(points: list[tuple[float, float]]) -> str:
    """With the largest size's value."""
    steepness = slope(points)
    if steepness is None:
        return "-"
    return f"{steepness:.2f} ({digits(max(points)[1])})"
