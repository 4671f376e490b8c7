"""Files that are written whole or not at all."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

REPORTS = ("agreement.json", "agreement.md", "index.html")


def delete_reports(folder: Path) -> None:
    """Delete what an earlier comparison said."""
    for name in REPORTS:
        (folder / name).unlink(missing_ok=True)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` once it is all written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not of tempfile's, which nobody else may read.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
