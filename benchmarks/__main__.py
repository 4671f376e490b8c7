"""Measure kseq beside other implementations and write the page of results.

Without options `python -m benchmarks` measures everything (15 minutes) and
rewrites benchmarks/results; with a selection it writes to .outputs/benchmarks.
"""

import argparse
import os
import time
from pathlib import Path

from benchmarks import growth, measure, page, workloads
from benchmarks.contenders import CONTENDERS, FRAMEWORKS
from benchmarks.results import FILE, Results, about

ROOT = Path(__file__).parents[1]
# Each peak is measured in a fresh process, so only some workloads are.
MEMORY = ("DIN T=100 E=64", "DIN T=100 E=64 K=100", "Transformer T=4000")


def main(arguments: list[str] | None = None) -> None:
    options = _options(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    if not options.page:
        # The workers inherit it.
        os.sched_setaffinity(0, [options.core])
        if options.growth:
            points = [*growth.measure(options.frameworks)]
            growth.save(options.out, about(options.core), points)
        else:
            _measure_times(options)
    if (options.out / FILE).is_file():
        page.write(Results.load(options.out), options.out)
    minutes = (time.monotonic() - start) / 60
    print(f"{options.out}: {minutes:.1f} minutes")


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__.splitlines()[0]
    )
    add = parser.add_argument
    add("--growth", action="store_true", help="time and memory against size")
    add("--page", action="store_true", help="only write the page again")
    add("--workloads", nargs="+", default=[], help="names, or parts of names")
    add("--frameworks", nargs="+", default=[*FRAMEWORKS], choices=FRAMEWORKS)
    add("--rounds", type=int, default=15, help="at most")
    add(
        "--seconds",
        type=float,
        default=10,
        help="for the rounds of a workload on one framework",
    )
    add("--core", type=int, default=min(os.sched_getaffinity(0)))
    add("--out", type=Path, help="folder of the results")
    options = parser.parse_args(arguments)
    if options.out is None:
        partial = options.workloads or len(options.frameworks) < len(FRAMEWORKS)
        folder = ".outputs/benchmarks" if partial else "benchmarks/results"
        options.out = ROOT / folder
    return options


def _measure_times(options: argparse.Namespace) -> None:
    names = workloads.choose(options.workloads)
    contenders = [
        c for c in CONTENDERS.values() if c.framework in options.frameworks
    ]
    results = Results(about(options.core))
    for row in measure.times(
        names, contenders, options.rounds, options.seconds
    ):
        results.times.append(row)
        print(f"{row['workload']}, {row['contender']}", flush=True)
    results.peaks.extend(measure.peaks(results.times, MEMORY))
    results.save(options.out)
    for name in names:
        print(f"\n{name}\n\n{page.times_table(results, name)}")


if __name__ == "__main__":
    main()
