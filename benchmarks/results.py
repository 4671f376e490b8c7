"""The measured results, as `times.json` stores them."""

import datetime
import importlib.metadata
import json
import os
import platform
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.contenders import CONTENDERS

FILE = "times.json"
# Relative to the largest value. Smaller differences are called equal.
TOLERANCE = 1e-4
PACKAGES = (
    *("keras", "tensorflow", "tensorflow-cpu", "torch", "jax", "numpy"),
    *("deepctr", "deepctr-torch", "tf_keras"),
)


@dataclass
class Results:
    """Rows, each of one workload and one contender.

    Args:
        about: date, machine and versions.
        times: CPU milliseconds, seconds of first calls, differences.
        peaks: MB that the first training step adds.
    """

    about: dict[str, Any]
    times: list[dict[str, Any]] = field(default_factory=list)
    peaks: list[dict[str, Any]] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        """Write one row a line, so that diffs are readable."""
        parts = [f'"about": {json.dumps(self.about, indent=2)}']
        for name in ("times", "peaks"):
            rows = ",\n".join(json.dumps(row) for row in getattr(self, name))
            parts.append(f'"{name}": [\n{rows}\n]')
        (folder / FILE).write_text("{\n" + ",\n".join(parts) + "\n}\n")

    @classmethod
    def load(cls, folder: Path) -> "Results":
        return cls(**json.loads((folder / FILE).read_text()))

    def workloads(self) -> list[str]:
        return list(dict.fromkeys(row["workload"] for row in self.times))

    def times_of(self, workload: str) -> dict[str, dict[str, Any]]:
        """The rows of a workload by contender, in the order of the table."""
        return _by_contender(self.times, workload)

    def peaks_of(self, workload: str) -> dict[str, dict[str, Any]]:
        return _by_contender(self.peaks, workload)

    def ratio(self, workload: str, contender: str, pass_: str) -> float | None:
        """A contender's median time divided by kseq's on its framework."""
        rows = self.times_of(workload)
        try:
            kseq = rows[CONTENDERS[contender].baseline]
            return rows[contender][pass_]["median"] / kseq[pass_]["median"]
        except KeyError:  # not measured
            return None


def _by_contender(
    rows: list[dict[str, Any]], workload: str
) -> dict[str, dict[str, Any]]:
    found = {r["contender"]: r for r in rows if r["workload"] == workload}
    return {name: found[name] for name in CONTENDERS if name in found}


def compare_numbers(row: dict[str, Any]) -> str:
    """Whether a row's numbers equal kseq's; empty for the reference itself."""
    if "difference" not in row:
        return ""
    difference = row["difference"]
    if difference is None:
        return "different"
    if difference <= TOLERANCE:
        return "equal"
    return f"different ({difference:.0e})"


def about(core: int) -> dict[str, Any]:
    """Date, machine and versions of a measurement."""
    return {
        "date": datetime.date.today().isoformat(),
        "machine": processor(),
        "core": f"one of {os.cpu_count()}, number {core}",
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
        "versions": dict(_versions()),
        "revision": revision(),
    }


def processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    found = re.search(r"^model name\s*:\s*(.+)", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def _versions() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        try:
            yield package, importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue


def revision() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    try:
        return subprocess.run(
            command,
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
