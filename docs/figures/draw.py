"""Draws a flow: boxes in rows, arrows of right angles."""

from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from docs.figures.flow import Box, Flow, Labels, run

# Inches, and points of type.
PITCH, WIDTH = 2.16, 1.96
LINE, PADDING, GAP = 0.165, 0.1, 0.3
TEXT, SMALL = 8.5, 7.2
NARROW = 31  # what fits into a line of a box, in small letters

COLOURS = {
    "input": ("#e4eefa", "#4a78b0"),
    "computed": ("#f4f4f4", "#808080"),
    "output": ("#e2f3e5", "#3b8a4c"),
}
WEIGHT, SHAPE, ARROW = "#a85b00", "#555555", "#5a5a5a"
STYLE = {
    "svg.hashsalt": "kseq",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "mathtext.fontset": "dejavusans",
    "font.size": TEXT,
    "axes.titlesize": TEXT + 1,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def save(figure: Figure, path: Path, description: str) -> None:
    # No date and no version: the same figure is the same bytes.
    figure.savefig(
        path,
        format="svg",
        facecolor="white",
        metadata={"Date": None, "Creator": None, "Description": description},
    )


def describe(labels: Labels) -> str:
    """What a flow's figure says of shapes, one line a box."""
    lines = []
    for name, (value, weights) in labels.items():
        lines.append("; ".join([f"{name} {value}", *map(str, weights)]))
    return "\n".join(lines)


def draw_flow(flow: Flow, path: Path) -> None:
    labels = run(flow)
    rows = sorted({box.at[1] for box in flow.boxes})
    lines = {box.name: list(_lines(box, labels)) for box in flow.boxes}
    heights = {
        name: sum(map(_height, found)) + 2 * PADDING
        for name, found in lines.items()
    }
    tallest = {
        row: max(heights[b.name] for b in flow.boxes if b.at[1] == row)
        for row in rows
    }
    tops, top = {}, 0.0
    for row in rows:
        tops[row] = top
        top -= tallest[row] + GAP
    columns = [box.at[0] for box in flow.boxes]
    lanes = [lane for box in flow.boxes for lane in box.lanes.values()]
    left = min(min(columns) * PITCH - WIDTH / 2, *_x([*lanes, 9]))
    right = max(max(columns) * PITCH + WIDTH / 2, *_x([*lanes, -9]))
    size = right - left + 0.16, GAP - top + 0.2
    places = {
        box.name: _Place(box.at[0] * PITCH, tops[box.at[1]], heights[box.name])
        for box in flow.boxes
    }
    with mpl.rc_context(STYLE):
        figure = Figure(size)
        ax = figure.add_axes((0, 0, 1, 1))
        ax.set(xlim=(left - 0.08, right + 0.08), ylim=(top + GAP - 0.36, 0.1))
        ax.set_axis_off()
        outputs = flow.outputs()
        _draw_arrows(ax, flow, places)
        for box in flow.boxes:
            kind = "output" if box.name in outputs else "computed"
            if box.compute is None:
                kind = "input"
            _draw_box(ax, places[box.name], lines[box.name], kind)
        _draw_legend(ax, left, top + GAP - 0.22)
        save(figure, path, describe(labels))


def _x(columns: list[float]) -> list[float]:
    return [column * PITCH for column in columns]


class _Place:
    """Where a box lies, in inches."""

    def __init__(self, x: float, top: float, height: float) -> None:
        self.x, self.top, self.height = x, top, height
        self.y, self.bottom = top - height / 2, top - height
        self.left, self.right = x - WIDTH / 2, x + WIDTH / 2


Line = tuple[str, str, float]


def _height(line: Line) -> float:
    tall = any(sign in line[0] for sign in ("\\sum", "\\sqrt"))
    return 1.5 * LINE if tall else LINE


def _lines(box: Box, labels: Labels) -> Iterator[Line]:
    """The lines of a box: text, colour, size."""
    for line in box.text.split("\n"):
        yield line, "black", TEXT
    shape, weights = labels[box.name]
    for label in weights:
        if len(str(label)) <= NARROW:
            yield str(label), WEIGHT, SMALL
        else:
            yield label.name, WEIGHT, SMALL
            yield f"{label.dims} = {label.sizes}", WEIGHT, SMALL
    if box.shape:
        yield f"{shape.dims} = {shape.sizes}", SHAPE, SMALL
    else:
        yield "a number", SHAPE, SMALL


def _draw_box(ax: Axes, place: _Place, lines: list[Line], kind: str) -> None:
    face, edge = COLOURS[kind]
    ax.add_patch(
        FancyBboxPatch(
            (place.left, place.bottom),
            WIDTH,
            place.height,
            boxstyle="round,pad=0,rounding_size=0.06",
            facecolor=face,
            edgecolor=edge,
            linewidth=1,
        )
    )
    y = place.top - PADDING
    for line in lines:
        text, colour, size = line
        y -= _height(line) / 2
        drawn = ax.text(
            place.x, y, text, color=colour, size=size, ha="center", va="center"
        )
        y -= _height(line) / 2
        found = drawn.get_window_extent().width / ax.figure.dpi
        if found > WIDTH - 0.06:
            raise ValueError(f"{found:.2f} inches are too wide: {text}")


def _draw_arrows(ax: Axes, flow: Flow, places: dict[str, _Place]) -> None:
    for box in flow.boxes:
        end = places[box.name]
        from_above = [
            n
            for n in box.arrows
            if n not in box.lanes and places[n].bottom > end.top
        ]
        from_above.sort(key=lambda n: places[n].x)
        for i, name in enumerate(from_above):
            start = places[name]
            # Entries beside one another; straight down where that is one.
            x = end.x + (i - (len(from_above) - 1) / 2) * 0.34
            if abs(start.x - end.x) < 0.01 and len(from_above) == 1:
                x = start.x
            y = end.top + 0.17
            points = [(start.x, start.bottom), (start.x, y), (x, y)]
            if abs(start.x - x) < 0.3 * WIDTH:
                points = [(x, start.bottom)]
            _arrow(ax, [*points, (x, end.top)])
        for name in box.arrows:
            start = places[name]
            if name in box.lanes:
                # Out below the middle and in above it: both may be there.
                x, y = box.lanes[name] * PITCH, end.y + 0.1
                points = [(_side(start, x), start.y - 0.1), (x, start.y - 0.1)]
                if start.left < x < start.right:
                    points = [(x, start.bottom)]
                _arrow(ax, [*points, (x, y), (_side(end, x), y)])
            elif name not in from_above:
                y = max(start.y, end.y)
                ends = (_side(start, end.x), y), (_side(end, start.x), y)
                _arrow(ax, list(ends))


def _side(place: _Place, x: float) -> float:
    return place.right if x > place.x else place.left


def _arrow(ax: Axes, points: list[tuple[float, float]]) -> None:
    *before, end = points
    ax.annotate(
        "",
        end,
        before[-1],
        arrowprops={
            "arrowstyle": "-|>",
            "color": ARROW,
            "linewidth": 1,
            "shrinkA": 0,
            "shrinkB": 0,
            "mutation_scale": 8,
        },
    )
    if len(before) > 1:
        ax.plot(*zip(*before, strict=True), color=ARROW, linewidth=1)


def _draw_legend(ax: Axes, left: float, y: float) -> None:
    x = left
    for word, colours in (*COLOURS.items(), ("weight", (None, WEIGHT))):
        face, edge = colours
        if face is None:
            ax.text(x, y, word, size=SMALL, color=edge, va="center")
            continue
        ax.add_patch(
            FancyBboxPatch(
                (x + 0.02, y - 0.05),
                0.14,
                0.1,
                boxstyle="round,pad=0,rounding_size=0.03",
                facecolor=face,
                edgecolor=edge,
            )
        )
        ax.text(x + 0.22, y, word, size=SMALL, color=SHAPE, va="center")
        x += 0.42 + 0.065 * len(word)
