"""Makes the pages' figures from runs of the layers, or checks those there are.

    python -m docs.figures.make            # all, or those that are named
    python -m docs.figures.make --check

Any backend will do; the numbers are rounded. With the same Matplotlib a figure
is the same file, byte for byte.
"""

import argparse
import json
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from docs.figures.draw import STYLE, describe, draw_flow, save
from docs.figures.flow import run
from docs.figures.flows import FLOWS
from docs.figures.plots import PLOTS, Numbers

HERE = Path(__file__).parent
DIGITS = 4
DESCRIPTION = ".//{http://purl.org/dc/elements/1.1/}description"


def flow_path(name: str) -> Path:
    return HERE / f"{name}.svg"


def plot_path(name: str) -> Path:
    return HERE / f"{name}-run.svg"


def make_flow(name: str, path: Path | None = None) -> None:
    draw_flow(FLOWS[name](), path or flow_path(name))


def make_plot(name: str, path: Path | None = None) -> None:
    plot = PLOTS[name]
    # What is drawn is what is written down.
    numbers = rounded(plot.run())
    with mpl.rc_context(STYLE):
        figure = Figure(plot.size, layout="constrained")
        plot.draw(figure, numbers)
        save(figure, path or plot_path(name), json.dumps(numbers))


def rounded(numbers: Numbers) -> dict[str, Any]:
    # Minus 0 is 0.
    return {
        name: (np.round(np.asarray(x, "float64"), DIGITS) + 0.0).tolist()
        for name, x in numbers.items()
    }


def described(path: Path) -> str:
    """What a figure's file says that it shows."""
    found = ET.parse(path).find(DESCRIPTION)
    return "" if found is None else found.text or ""


def check_flow(name: str) -> str | None:
    """What is wrong with a flow's figure, or None."""
    if described(flow_path(name)) == describe(run(FLOWS[name]())):
        return None
    return f"{name}: shows other shapes than the layer has"


def check_plot(name: str) -> str | None:
    """What is wrong with a plot's figure, or None."""
    shown = json.loads(described(plot_path(name)))
    present = rounded(PLOTS[name].run())
    if shown.keys() == present.keys() and all(
        np.shape(shown[x]) == np.shape(present[x])
        and np.allclose(shown[x], present[x], rtol=0, atol=2 * 10**-DIGITS)
        for x in shown
    ):
        return None
    return f"{name}: shows other numbers than the layer gives"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="of pages; none: all")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    faults = []
    for names, make, check in (
        (FLOWS, make_flow, check_flow),
        (PLOTS, make_plot, check_plot),
    ):
        for name in names:
            if args.names and name not in args.names:
                continue
            if args.check:
                faults.append(check(name))
            else:
                make(name)
    found = "\n".join(filter(None, faults))
    if found:
        sys.exit(f"{found}\npython -m docs.figures.make makes them anew")


if __name__ == "__main__":
    main()
