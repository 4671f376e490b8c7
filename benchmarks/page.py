"""The page of the results."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import charts, growth
from benchmarks.charts import digits
from benchmarks.contenders import CONTENDERS, FRAMEWORKS
from benchmarks.measure import PASSES
from benchmarks.results import TOLERANCE, Results, compare_numbers

COLUMNS = (
    *("contender", "forward", "ratio", "forward + backward", "ratio"),
    *("first calls, s", "numbers"),
)
INTRODUCTION = f"""\
kseq's layers compared with DeepCTR, deepctr-torch, a plain port of DeepCTR to
`keras.ops`, and Keras's LSTM. `tox run -e bench` runs the benchmarks and
writes this page from `times.json` and `growth.json`.

- Each contender is a process with one thread. All processes share one core, and
  those of a framework take turns, call after call, so that other load on the
  machine affects all of them equally.
- The names of workloads contain their sizes: T steps, E features of a step, K
  candidates, H units of a state. Lengths of histories are uniform in 1 to T,
  for "movielens" as in MovieLens-100K, and for BiLSTM all T.
- Times are CPU milliseconds of one call: medians with quartiles. In three whole
  runs on 26 November 2026 the largest and the smallest ratio of a row differed
  by 5 % in the median, and by 14 % at the 90th percentile.
- All contenders get the same inputs and weights. Forward + backward computes
  the loss and its gradients with respect to all float inputs and all weights.
- glibc's malloc keeps its memory in all processes (`MALLOC_MMAP_MAX_=0`, large
  `MALLOC_TRIM_THRESHOLD_` and `MALLOC_TOP_PAD_`), and TensorFlow uses malloc
  instead of its own pool, which would hide what a call needs. With malloc's
  defaults, PyTorch and JAX spend up to half of their time in page faults.
- Numbers are "equal" if the output and each gradient differ from kseq's on the
  same framework by at most {TOLERANCE:.0e} of the largest value.
- "First calls" has the seconds until the first result, and from there until the
  first gradients, including building, tracing and compiling.
"""
MEMORY = """\
The most memory, in MB, that the first training step adds to a process that has
built its layer, with malloc's defaults, including compilation.
"""
GROWTH = """\
The exponents with which kseq's forward + backward grows in T, B, E and K
between the two largest sizes, without padding, and in parentheses the value at
the largest size: 1 is linear, 2 quadratic. Exponents below 1 mean that a
constant part still dominates. "MB added" is the most that a call adds to the
process's memory. Attention takes quadratic time in T; its memory is quadratic
while all scores are kept (up to 2^20) and at most linear beyond. The state of
the recurrent layers is as wide as E, so their time becomes quadratic in E.
"""
ALL_TIMES = """\
CPU milliseconds of a call: median (quartiles). Ratios are the contender's time
divided by kseq's on the same framework (on TensorFlow, as a graph): above 1,
kseq is faster.
"""


def markdown(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = list(titles)
    lines = [titles, len(titles) * ["---"], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write(results: Results, folder: Path) -> None:
    """Write the plots and README.md."""
    plots = charts.draw(results, folder)
    parts = [f"# Benchmarks\n\n{INTRODUCTION}\n{_about(results.about)}\n"]
    parts.append("## Times\n")
    parts += (f"![{title}]({file})\n" for title, file in plots.items())
    if results.peaks:
        parts.append(f"## Memory\n\n{MEMORY}\n{_memory(results)}")
    if found := growth.load(folder):
        parts.append(
            f"## Growth\n\n{GROWTH}\nMeasured on {found['about']['date']}.\n\n"
            f"{_growth(found['points'])}"
        )
    parts.append(f"## Contenders\n\n{_contenders()}")
    parts.append(f"## All times\n\n{ALL_TIMES}")
    parts += (
        f"### {name}\n\n{times_table(results, name)}"
        for name in results.workloads()
    )
    (folder / "README.md").write_text("\n".join(parts))


def _about(about: dict[str, Any]) -> str:
    versions = ", ".join(f"{k} {v}" for k, v in about["versions"].items())
    return (
        f"{about['date']}: {about['machine']}, {about['core']}; "
        f"{about['system']}; Python {about['python']}, {versions}; "
        f"kseq {about['revision']}.\n"
    )


def _memory(results: Results) -> str:
    rows = [
        [
            row["workload"],
            CONTENDERS[row["contender"]].title,
            f"{row['mb']:.0f}" if "mb" in row else row["error"][:80],
        ]
        for row in results.peaks
    ]
    return markdown(("workload", "contender", "MB"), rows)


def _growth(points: list[dict[str, Any]]) -> str:
    def cell(one: growth.Series, name: str, unit: str) -> str:
        found = [
            (point["at"], point[unit])
            for point in points
            if (point["kind"], point["axis"]) == (one.kind, one.axis)
            and point["contender"] == name
            and unit in point
        ]
        slope = growth.slope(found)
        if slope is None:
            return "-"
        return f"{slope:.2f} ({digits(max(found)[1])})"

    units = {"ms": "CPU ms", "mb": "MB added"}
    titles = [
        f"{framework}, {label}"
        for label in units.values()
        for framework in FRAMEWORKS.values()
    ]
    return markdown(
        ["layer", "grows", *titles],
        (
            [
                growth.KINDS[one.kind],
                one.axis,
                *(cell(one, n, unit) for unit in units for n in growth.KSEQ),
            ]
            for one in growth.series()
        ),
    )


def _contenders() -> str:
    """The docstrings of the contenders' modules, which are not imported."""
    modules = dict.fromkeys(c.module for c in CONTENDERS.values())
    folder = Path(__file__).with_name("contenders")
    trees = {m: ast.parse((folder / f"{m}.py").read_text()) for m in modules}
    return "\n".join(
        f"`{module}`: {ast.get_docstring(tree)}\n"
        for module, tree in trees.items()
    )


def times_table(results: Results, workload: str) -> str:
    return markdown(COLUMNS, _times_rows(results, workload))


def _times_rows(results: Results, workload: str) -> Iterator[list[str]]:
    for name, row in results.times_of(workload).items():
        cells = [CONTENDERS[name].title]
        if "error" in row:
            cells += [*5 * ["-"], row["error"].split(":")[0]]
        else:
            for pass_ in PASSES:
                cells += _pass_cells(results, workload, name, pass_)
            cells.append(" + ".join(f"{s:.1f}" for s in row["first"].values()))
            cells.append(compare_numbers(row))
        if CONTENDERS[name].is_kseq:
            cells = [f"**{cell}**" if cell else "" for cell in cells]
        yield cells


def _pass_cells(
    results: Results, workload: str, name: str, pass_: str
) -> list[str]:
    row = results.times_of(workload)[name][pass_]
    low, middle, high = (digits(row[k]) for k in ("low", "median", "high"))
    ratio = results.ratio(workload, name, pass_)
    hidden = ratio is None or CONTENDERS[name].is_kseq
    return [f"{middle} ({low}-{high})", "" if hidden else f"{ratio:.2f}"]
