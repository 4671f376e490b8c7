"""Files that are written whole or not at all."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def replacing_path(path: Path) -> Iterator[Path]:
    """Where to write a file that takes the place of `path` in the end.

    It has the suffix of `path`. If the block fails, `path` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not of tempfile's, which nobody else may read.
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` once it is all written."""
    with replacing_path(path) as temporary, temporary.open("wb") as file:
        yield file
