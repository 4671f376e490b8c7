"""The page of the results, and what the terminal shows."""

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import charts
from benchmarks.claims import CLAIMS, WHAT, Claim
from benchmarks.growth_page import growth_section
from benchmarks.lineup import LINEUP
from benchmarks.results import TOLERANCE, Results, numbers, repeats
from benchmarks.text import digits, markdown, write_text

PASSES = ("forward", "train")
WIDTH = 110
MOVES = 0.1  # of a ratio, from run to run: what is said
COLUMNS = (
    "contender",
    "forward",
    "ratio",
    "forward + backward",
    "ratio",
    "first calls, s",
    "numbers",
)


def show(results: Results, console: Console) -> None:
    """The times, a section for each work, and what is not reached."""
    console.width = max(console.width, WIDTH)
    table = Table(*COLUMNS, title="CPU ms: median (quartiles); peer / kseq")
    for work in results.works():
        table.add_row(work, style="bold underline")
        for name, cells in _cells(results, work):
            style = "bold" if LINEUP[name].is_ours else None
            table.add_row(name, *cells[1:], style=style)
        table.add_section()
    console.print(table)
    for claim, (measured,) in measured_claims([results]):
        if not claim.holds(measured):
            against = f", against {claim.against}" if claim.peer else ""
            console.print(
                f"[red]not reached[/]: {claim.work}, "
                f"{LINEUP[claim.ours].title}, {WHAT[claim.what]}{against}: "
                f"{digits(measured)}, wanted {claim.bound}"
            )


def measured_claims(
    runs: list[Results],
) -> Iterator[tuple[Claim, list[float]]]:
    """Claims with a number of each run that has one."""
    for claim in CLAIMS:
        if measured := claim.measured_in(runs):
            yield claim, measured


def verdict(claim: Claim, measured: list[float]) -> str:
    """By the median of the runs, and how far it is to be trusted."""
    middle = statistics.median(measured)
    reached = "yes" if claim.holds(middle) else "**no**"
    if len(measured) == 1:
        return f"{reached}, one run"
    spread = (max(measured) - min(measured)) / middle
    return f"{reached}, spread {spread:.0%}" if spread > MOVES else reached


def _cells(results: Results, work: str) -> Iterator[tuple[str, list[str]]]:
    for name, row in results.of(work).items():
        title = LINEUP[name].title
        if "error" in row:
            yield name, [title, *5 * ["-"], row["error"].split(":")[0]]
            continue
        passes = [
            cell for p in PASSES for cell in _pass(results, work, name, p)
        ]
        first = " + ".join(f"{s:.1f}" for s in row["first"].values())
        yield name, [title, *passes, first, numbers(row)]


def _pass(results: Results, work: str, name: str, pass_: str) -> list[str]:
    row = results.of(work)[name].get(pass_)
    if row is None:
        return ["-", "-"]
    low, middle, high = (digits(row[k]) for k in ("low", "median", "high"))
    ratio = None
    if not LINEUP[name].is_ours:
        ratio = results.ratio(work, name, pass_)
    return [f"{middle} ({low}-{high})", f"{ratio:.2f}" if ratio else ""]


def write(results: Results, folder: Path) -> None:
    """The pictures, and the page that shows them."""
    pictures = charts.draw(results, folder)
    again = [Results.load(folder, name) for name in repeats(folder)]
    parts = [
        f"# Benchmarks\n\n{INTRODUCTION}\n{_about(results, again)}",
        f"## Wanted and measured\n\n{WANTED}\n{_claims(results, again)}",
        "## Times\n",
    ]
    parts += (f"![{title}]({file})\n" for title, file in pictures.items())
    if results.peaks:
        parts.append(f"## Memory\n\n{MEMORY}\n{_memory(results)}")
    parts += growth_section(folder)
    parts.append(f"## Contenders\n\n{_contenders()}")
    parts.append(f"## All times\n\n{ALL_TIMES}\n")
    parts += (
        f"### {work}\n\n{_times(results, work)}" for work in results.works()
    )
    page = "\n".join(parts)
    write_text(folder / "README.md", page)


INTRODUCTION = f"""\
kseq's layers beside their peers. This page is written by
`tox run -e bench`; what it shows lies in `times.json`.

- Each contender is a process with one thread. All are on one core; those of a
  framework take turns, call after call, so that what else the machine does
  meets all alike.
- Times are CPU milliseconds of one call, medians with quartiles: what other
  processes take of the core does not count, but the caches are shared: how far
  ratios move from run to run is shown with what was wanted.
- All get the same inputs and weights. Forward + backward ends with the loss and
  the gradients of all float inputs and weights.
- glibc's malloc keeps its memory in all of them (`MALLOC_MMAP_MAX_=0`,
  `MALLOC_TRIM_THRESHOLD_` and `MALLOC_TOP_PAD_` large), and TensorFlow uses it
  instead of its own pool, which would hide what a call needs. With malloc's
  defaults PyTorch and JAX spend up to half their time in page faults.
- Numbers are "equal" when the output and each gradient differ by at most
  {TOLERANCE:.0e} of the largest value from kseq's on the same framework.
- First calls: seconds from nothing built to the first result, and to the first
  gradients after it: building, tracing, compiling.
"""
WANTED = """\
Ratios are peer / kseq, so above 1 kseq takes less. What other whole runs gave
stands behind what this one did; the median of all decides. A spread is the
largest less the smallest, of the median, where that is more than a tenth.
What is not reached, and why, stands in `docs/performance.md`.
"""
MEMORY = """\
What the first step of training adds at most to a process that has built its
layer, with malloc's defaults; compiling included.
"""
ALL_TIMES = """\
CPU milliseconds of a call: median (quartiles). Ratios are peer / kseq: above 1,
kseq on the same framework takes less. What runs under XLA is compared with kseq
under XLA.
"""


def _about(results: Results, again: list[Results]) -> str:
    about = results.about
    versions = ", ".join(f"{k} {v}" for k, v in about["versions"].items())
    return (
        f"{about['date']}: {about['machine']}, {about['core']}; "
        f"{about['system']}; Python {about['python']}, {versions}; "
        f"kseq {about['revision']}{_minutes(about)}.\n"
        + "".join(
            f"\nAgain, {other['date']}: kseq {other['revision']}"
            f"{_minutes(other)}.\n"
            for other in (run.about for run in again)
        )
    )


def _minutes(about: dict[str, Any]) -> str:
    return f", {about['minutes']} minutes" if "minutes" in about else ""


def _claims(results: Results, again: list[Results]) -> str:
    rows = [
        [
            claim.work,
            LINEUP[claim.ours].title,
            claim.against,
            WHAT[claim.what],
            claim.bound,
            ", ".join(map(digits, measured)),
            verdict(claim, measured),
        ]
        for claim, measured in measured_claims([results, *again])
    ]
    titles = ("work", "kseq", "peer", "of", "wanted", "measured", "reached")
    return markdown(titles, rows)


def _contenders() -> str:
    """What their modules say of themselves."""
    modules = dict.fromkeys(contender.module for contender in LINEUP.values())
    folder = Path(__file__).with_name("contenders")
    docs = {
        module: ast.get_docstring(
            ast.parse((folder / f"{module}.py").read_text())
        )
        for module in modules
    }
    return "\n".join(f"`{name}`: {doc}\n" for name, doc in docs.items() if doc)


def _memory(results: Results) -> str:
    rows = [
        [
            row["work"],
            LINEUP[row["contender"]].title,
            f"{row['mb']:.0f}" if "mb" in row else row["error"][:80],
        ]
        for row in results.peaks
    ]
    return markdown(("work", "contender", "MB"), rows)


def _times(results: Results, work: str) -> str:
    rows = [
        [
            f"**{text}**" if LINEUP[name].is_ours and text else text
            for text in cells
        ]
        for name, cells in _cells(results, work)
    ]
    return markdown(COLUMNS, rows)
