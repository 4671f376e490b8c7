"""The names of the report files."""

from pathlib import Path

REPORTS = ("agreement.json", "agreement.md", "index.html")


def delete_reports(folder: Path) -> None:
    """Delete the reports of an earlier comparison."""
    for name in REPORTS:
        (folder / name).unlink(missing_ok=True)
