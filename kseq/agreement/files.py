"""The files of a comparison's reports."""

from pathlib import Path

REPORTS = ("agreement.json", "agreement.md", "index.html")


def delete_reports(folder: Path) -> None:
    """Delete what an earlier comparison said."""
    for name in REPORTS:
        (folder / name).unlink(missing_ok=True)
