"""Run README's example and draw its attention weights: example.svg.

KERAS_BACKEND=jax python docs/figures/example.py
"""

import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

HERE = Path(__file__).parent
HISTORY = [31, 7, 48, 22]
CANDIDATES = [12, 26, 8]
STYLE = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "kseq",  # the same plot is the same bytes
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "white",
}


def weights() -> np.ndarray:
    """Train README's model; return weights `(candidates, steps)`."""
    readme = (HERE.parents[1] / "README.md").read_text(encoding="utf-8")
    names: dict = {}
    exec(re.search(r"^```python\n(.*?)^```", readme, re.M | re.S)[1], names)
    features = {
        "item": np.array(CANDIDATES),
        "hist_item": np.array([HISTORY] * len(CANDIDATES)),
    }
    (found,) = names["attention_weights"](names["model"], features).values()
    return found[:, 0]


def draw(rows: np.ndarray) -> Figure:
    figure = Figure((7.2, 2.1), layout="constrained")
    for ax, candidate, row in zip(
        figure.subplots(1, len(rows), sharey=True),
        CANDIDATES,
        rows,
        strict=True,
    ):
        same = [item % 5 == candidate % 5 for item in HISTORY]
        colours = ["#1565c0" if s else "#b0bec5" for s in same]
        ax.bar([str(item) for item in HISTORY], row, 0.6, color=colours)
        ax.axhline(0, color="#555555", linewidth=0.8)
        ax.set_title(f"candidate {candidate}", fontsize=10)
        ax.tick_params(bottom=False)
    figure.axes[0].set_ylabel("attention weight")
    figure.supxlabel(
        "items of one history; blue: of the candidate's kind", fontsize=10
    )
    return figure


if __name__ == "__main__":
    with mpl.rc_context(STYLE):
        draw(weights()).savefig(
            HERE / "example.svg", metadata={"Date": None, "Creator": None}
        )
