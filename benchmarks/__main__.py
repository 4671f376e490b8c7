"""Times kseq and its peers, and writes the page: `tox run -e bench`."""

import argparse
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import growth, lineup, measure, report, works
from benchmarks.lineup import FRAMEWORKS
from benchmarks.machine import about
from benchmarks.results import NAME, Results, repeats

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PARTS = ROOT / ".outputs" / "benchmarks"
QUICK_WORKS = ["DIN T=100 E=16", "AUGRU H=16", "pooling sum"]
QUICK = [
    *("kseq-graph", "deepctr"),
    *("kseq-torch", "deepctr-torch"),
    *("kseq-jax", "naive-jax"),
]
# Fresh processes are dear: where memory matters.
MEMORY = (
    "DIN T=100 E=64",
    "DIN T=100 E=64 K=100",
    "Transformer T=4000",
)


def main(arguments: list[str] | None = None) -> None:
    options = _options(arguments)
    console = Console(log_path=False)
    start = time.monotonic()
    if not options.page:
        measure.stay_on(options.core)
        if options.growth:
            _growth(options, console)
        else:
            _times(options, console)
    if (options.out / NAME).is_file():
        report.write(Results.load(options.out), options.out)
    minutes = (time.monotonic() - start) / 60
    console.print(f"{options.out}: {minutes:.1f} minutes")


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="a minute or two: a few of each")
    add("--growth", action="store_true", help="time and memory against size")
    add(
        "--kinds",
        nargs="+",
        default=growth.KINDS,
        choices=growth.KINDS,
        help="of growth",
    )
    add("--again", action="store_true", help="another run beside the first")
    add("--page", action="store_true", help="measure nothing, write the page")
    add("--works", nargs="+", default=[], help="names, or words in them")
    add("--frameworks", nargs="+", default=[], choices=FRAMEWORKS)
    add("--contenders", nargs="+", default=[], help=" ".join(lineup.LINEUP))
    add("--rounds", type=int, help="at most, of calls (default: 15)")
    add(
        "--seconds",
        type=float,
        default=10,
        help="for the rounds of a work on one framework",
    )
    add("--no-memory", action="store_true", help="no processes for memory")
    add("--core", type=int, default=min(os.sched_getaffinity(0)))
    add(
        "--out",
        type=Path,
        help="folder (benchmarks/results; of a part .outputs/benchmarks)",
    )
    options = parser.parse_args(arguments)
    part = options.works or options.frameworks or options.contenders
    if options.out is None:
        options.out = PARTS if part or options.quick else RESULTS
    if options.quick:
        options.works = options.works or QUICK_WORKS
        options.contenders = options.contenders or QUICK
        options.rounds = options.rounds or 7
        options.no_memory = True
    options.rounds = options.rounds or 15
    return options


def _times(options: argparse.Namespace, console: Console) -> None:
    contenders = lineup.choose(options.frameworks, options.contenders)
    names = works.choose(options.works)
    results = Results(about(options.core))
    old = repeats(options.out)
    name = f"again-{len(old) + 1}.json" if options.again else NAME
    if not options.again:  # they were made again after another run
        for repeat in old:
            (options.out / repeat).unlink()
    rows = measure.times(names, contenders, options.rounds, options.seconds)
    start = time.monotonic()
    results.times.extend(_watched(rows, console, "work"))
    results.save(options.out, name)
    if not options.no_memory:
        rows = measure.peaks(results.times, MEMORY)
        results.peaks.extend(_watched(rows, console, "work", "memory of "))
    results.about["minutes"] = round((time.monotonic() - start) / 60, 1)
    results.save(options.out, name)
    report.show(results, console)


def _growth(options: argparse.Namespace, console: Console) -> None:
    rows = growth.measure(growth.contenders(options.frameworks), options.kinds)
    points = list(_watched(rows, console, "kind", "growth of "))
    growth.save(options.out, about(options.core), points)


def _watched(
    rows: Iterable[dict[str, Any]], console: Console, key: str, before: str = ""
) -> Iterator[dict[str, Any]]:
    """The rows; the terminal gets a line for each new value of the key."""
    last = None
    for row in rows:
        if row[key] != last:
            last = row[key]
            console.log(f"{before}{last}")
        yield row


if __name__ == "__main__":
    main()
