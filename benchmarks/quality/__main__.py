"""Train kseq's and FuxiCTR's models on real histories; write docs/quality.md.

`tox run -e quality -- --data FOLDER` runs what the results lack; each run is a
line of JSON in benchmarks/quality/results. `--page` only writes the page.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.measure import KEEP_MEMORY
from benchmarks.quality import configuration as c
from benchmarks.quality import page
from benchmarks.quality.results import Results

FOLDER = Path(__file__).parent / "results"
BACKENDS = ("torch", "tensorflow", "jax")


def main(arguments: list[str] | None = None) -> None:
    options = _options(arguments)
    results = Results(options.out)
    if not options.page:
        if not (options.out / "agree.json").exists():
            measure_agreement()
        # The workers inherit it.
        os.sched_setaffinity(0, [options.core])
        if not options.no_search:
            run(search_jobs(), results, options.data)
        for name in options.sets:
            jobs = measured_jobs(name, results, options)
            run(jobs, results, options.data)
    page.write(results, options.page_file)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality",
        description=__doc__.splitlines()[0],
    )
    add = parser.add_argument
    add(
        "--data",
        type=Path,
        help="folder of NAME.txt, NAME_item2attributes.json",
    )
    add(
        "--sets",
        nargs="+",
        default=["beauty", "toys", "lastfm", "movielens", "sports"],
        help="data sets: these, or NAMEs in the folder",
    )
    add("--models", nargs="+", default=[*c.MODELS], choices=[*c.MODELS])
    add("--backends", nargs="+", default=[*BACKENDS], choices=BACKENDS)
    add("--seeds", type=int, default=len(c.SEEDS), help="how many")
    add("--attention", default=c.ATTENTION_ACTIVATION, help="of DIN and DIEN")
    add("--users", type=int, default=c.USERS, help="at most")
    add("--core", type=int, default=min(os.sched_getaffinity(0)))
    add("--no-search", action="store_true", help="use the search's results")
    add("--page", action="store_true", help="only write the page again")
    add("--out", type=Path, default=FOLDER, help="folder of the results")
    add("--page-file", type=Path, default=page.FILE)
    return parser.parse_args(arguments)


def search_jobs() -> Iterator[c.Job]:
    for model in c.SEARCH_MODELS:
        for rate in c.LEARNING_RATES:
            for penalty in c.PENALTIES:
                for library in ("kseq", "fuxictr"):
                    yield c.Job(
                        c.SEARCH_DATA,
                        model,
                        library,
                        "torch",
                        c.SEARCH_SEED,
                        rate,
                        penalty,
                        c.SEARCH_USERS,
                    )


def measured_jobs(
    name: str, results: Results, options: argparse.Namespace
) -> Iterator[c.Job]:
    """Yield the jobs of a data set, the two libraries in turn."""
    for seed in range(options.seeds):
        for model in options.models:
            if model == "dsin" and name != "movielens":
                continue  # no times, no sessions
            rate, penalty = results.chosen(model)
            for backend in options.backends:
                libraries = ["kseq"]
                if backend == "torch" and model in c.FUXICTR_MODELS:
                    libraries.append("fuxictr")
                if model == "popularity" and (seed or backend != "torch"):
                    continue
                for library in libraries:
                    yield c.Job(
                        name,
                        model,
                        library,
                        backend,
                        seed,
                        rate,
                        penalty,
                        options.users,
                        options.attention,
                    )


def run(jobs: Iterable[c.Job], results: Results, folder: Path | None) -> None:
    """Run the jobs that have no result yet."""
    with contextlib.ExitStack() as stack:
        workers: dict[tuple[str, str, str], Worker] = {}
        for job in jobs:
            if job in results:
                continue
            key = job.data, job.library, job.backend
            if key not in workers:
                workers[key] = stack.enter_context(Worker(job, folder))
            answer = workers[key].run(job)
            print(job, answer, flush=True)
            if "error" not in answer:
                results.add(job, answer)


def measure_agreement() -> None:
    subprocess.run(
        [sys.executable, "-m", "benchmarks.quality.agree"],
        env=os.environ | {"KERAS_BACKEND": "torch"},
        check=True,
    )


class Worker:
    """A process that runs the jobs of one data set, library and backend."""

    def __init__(self, job: c.Job, folder: Path | None) -> None:
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "benchmarks.quality.worker"),
                *(job.data, str(folder or "")),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | KEEP_MEMORY | {"KERAS_BACKEND": job.backend},
        )

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: Any) -> None:
        self.process.stdin.close()
        self.process.wait()

    def run(self, job: c.Job) -> dict[str, Any]:
        print(json.dumps(job.as_dict()), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"error": "the worker ended"}


if __name__ == "__main__":
    main()
