"""Files that are written whole or not at all."""

import contextlib
import os
import tempfile
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


@contextlib.contextmanager
def replacing_all(path: Path) -> Iterator[Path]:
    """As `replacing_path`, for a folder, or for a file with others beside it.

    All that the block leaves beside the path that it is given takes the place
    of what has the same name beside `path`. If the block, or a move, fails, all
    is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside it: between file systems nothing is moved at once.
    with tempfile.TemporaryDirectory(
        prefix=f".{path.stem}.", suffix=".tmp", dir=path.parent
    ) as folder:
        new, old = Path(folder, "new"), Path(folder, "old")
        new.mkdir()
        old.mkdir()
        yield new / path.name
        with contextlib.ExitStack() as undo:
            for made in sorted(new.iterdir()):
                place = path.parent / made.name
                if place.exists():
                    # A folder does not take the place of one that is not empty.
                    place.replace(old / made.name)
                    undo.callback((old / made.name).replace, place)
                made.replace(place)
                undo.callback(place.replace, made)
            undo.pop_all()
