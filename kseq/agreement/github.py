"""Annotations of GitHub Actions."""

import os
from collections.abc import Sequence
from pathlib import Path

from kseq.agreement.compare import Comparison

LIMIT = 50


def annotate(comparison: Comparison, runs: Sequence[str]) -> None:
    """Print an annotation for each failure, and append to the job's summary."""
    print()
    for failure in comparison.failures[:LIMIT]:
        file, _, name = failure.test.partition("::")
        place = f"file={_property(failure.file or file)}"
        if failure.line:
            place += f",line={failure.line}"
        title = _property(f"agreement: {name}")
        print(f"::error {place},title={title}::{_data(str(failure))}")
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if path:
        with Path(path).open("a", encoding="utf-8") as opened:
            opened.write(summary(comparison, runs))


def summary(comparison: Comparison, runs: Sequence[str]) -> str:
    """Return the failures as a Markdown table."""
    backends = ", ".join(runs)
    if comparison.agrees:
        return f"### Agreement\n\n{backends} agree.\n"
    lines = ["### Agreement", "", f"{backends} do not agree.", ""]
    lines += ["| test | computation | difference |", "|---|---|---|"]
    for failure in comparison.failures[:LIMIT]:
        cells = failure.test, failure.where, failure.text.splitlines()[0]
        escaped = (cell.replace("|", "\\|") for cell in cells)
        lines.append("| " + " | ".join(escaped) + " |")
    if len(comparison.failures) > LIMIT:
        lines.append(f"\n{len(comparison.failures) - LIMIT} more.")
    return "\n".join(lines) + "\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
