"""What was measured, as it lies in `times.json`."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.lineup import LINEUP, ours
from benchmarks.text import write_text

NAME = "times.json"
# Of the largest value: what is closer is equal.
TOLERANCE = 1e-4


@dataclass
class Results:
    """Rows of a work and a contender each.

    Args:
        about: date, machine, versions.
        times: CPU milliseconds, seconds of the first calls, differences.
        peaks: MB that the first step of training adds.
    """

    about: dict[str, Any]
    times: list[dict[str, Any]] = field(default_factory=list)
    peaks: list[dict[str, Any]] = field(default_factory=list)

    def save(self, folder: Path, name: str = NAME) -> None:
        """A row a line, so that a difference can be read."""
        parts = [f'"about": {json.dumps(self.about, indent=2)}']
        for part in ("times", "peaks"):
            rows = ",\n".join(json.dumps(row) for row in getattr(self, part))
            parts.append(f'"{part}": [\n{rows}\n]')
        text = "{\n" + ",\n".join(parts) + "\n}\n"
        write_text(folder / name, text)

    @classmethod
    def load(cls, folder: Path, name: str = NAME) -> "Results":
        return cls(**json.loads((folder / name).read_text(encoding="utf-8")))

    def works(self) -> list[str]:
        return list(dict.fromkeys(row["work"] for row in self.times))

    def of(self, work: str) -> dict[str, dict[str, Any]]:
        """The rows of a work by contender, in the order of the line-up."""
        return _by_contender(self.times, work)

    def peaks_of(self, work: str) -> dict[str, dict[str, Any]]:
        return _by_contender(self.peaks, work)

    def value(self, work: str, contender: str, what: str) -> float | None:
        """The median of a pass in ms; or of "first" seconds, of "peak" MB."""
        if what == "peak":
            return self.peaks_of(work).get(contender, {}).get("mb")
        row = self.of(work).get(contender, {})
        if what == "first":
            return sum(row["first"].values()) if "first" in row else None
        return row.get(what, {}).get("median")

    def ratio(self, work: str, contender: str, what: str) -> float | None:
        """How many times kseq's on the same framework."""
        kseq = self.value(work, ours(LINEUP[contender]), what)
        value = self.value(work, contender, what)
        return value / kseq if value and kseq else None


def repeats(folder: Path) -> list[str]:
    """The names of the runs that were made again, after the one of NAME."""
    return sorted(path.name for path in folder.glob("again-*.json"))


def _by_contender(
    rows: list[dict[str, Any]], work: str
) -> dict[str, dict[str, Any]]:
    found = {row["contender"]: row for row in rows if row["work"] == work}
    return {name: found[name] for name in LINEUP if name in found}


def numbers(row: dict[str, Any]) -> str:
    """Whether they equal kseq's; empty for kseq itself."""
    if "difference" not in row:
        return ""
    difference = row["difference"]
    if difference is None:
        return "others"
    return "equal" if difference <= TOLERANCE else f"others ({difference:.0e})"
