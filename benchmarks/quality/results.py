"""The measured runs, as lines of JSON."""

import json
import platform
import re
from collections.abc import Iterator
from dataclasses import fields
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.quality import configuration as c

PACKAGES = (
    *("keras", "torch", "tensorflow", "tensorflow-cpu", "jax", "numpy"),
    "fuxictr",
)


class Results:
    """Runs by job; each data set has a file, the search another one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs: dict[c.Job, dict[str, Any]] = {}
        for file in sorted(folder.glob("*.jsonl")):
            for line in file.read_text().splitlines():
                row = json.loads(line)
                job = c.Job(**{f.name: row.pop(f.name) for f in fields(c.Job)})
                self.runs[job] = row

    def __contains__(self, job: c.Job) -> bool:
        return job in self.runs

    def add(self, job: c.Job, run: dict[str, Any]) -> None:
        self.runs[job] = run
        self.folder.mkdir(parents=True, exist_ok=True)
        name = "search" if job.seed == c.SEARCH_SEED else job.data
        with (self.folder / f"{name}.jsonl").open("a") as file:
            print(json.dumps(job.as_dict() | run), file=file)
        if not (self.folder / "about.json").exists():
            text = json.dumps(about(), indent=2)
            (self.folder / "about.json").write_text(text + "\n")

    def select(self, **values: Any) -> Iterator[tuple[c.Job, dict[str, Any]]]:
        """Yield the runs whose jobs have these values."""
        for job, run in self.runs.items():
            if all(getattr(job, name) == v for name, v in values.items()):
                yield job, run

    def search(
        self, model: str, users: int = c.SEARCH_USERS
    ) -> dict[tuple[float, float], list[float]]:
        """Return the validation gAUC of both libraries by configuration."""
        found: dict[tuple[float, float], list[float]] = {}
        for job, run in self.select(
            model=model, seed=c.SEARCH_SEED, users=users
        ):
            key = job.learning_rate, job.penalty
            found.setdefault(key, []).append(run["valid_gauc"])
        return found

    def chosen(self, model: str) -> tuple[float, float]:
        """Return the learning rate and the penalty that the search chose.

        The best mean of both libraries. BST and DSIN have DIN's.
        """
        model = {"dien_aux": "dien", "dsin": "din", "bst": "din"}.get(
            model, model
        )
        found = self.search(model)
        if not found:
            return c.LEARNING_RATES[0], c.PENALTIES[0]
        return max(found, key=lambda key: sum(found[key]) / len(found[key]))

    def about(self) -> dict[str, Any]:
        file = self.folder / "about.json"
        return json.loads(file.read_text()) if file.exists() else about()


def about() -> dict[str, Any]:
    text = Path("/proc/cpuinfo").read_text()
    cpu = re.search(r"model name\s*:\s*(.*)", text)
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "machine": cpu[1] if cpu else platform.processor(),
        "python": platform.python_version(),
        "versions": versions,
    }
