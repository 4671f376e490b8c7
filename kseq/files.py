"""Atomic writes: a file is replaced completely or not at all."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from kseq.checks import Unquoted, raise_invalid


@contextlib.contextmanager
def replacing_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` when the block succeeds.

    The block writes a file or a directory there, and may add sidecar files to
    the same directory. If it raises, everything at `path` stays unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # On the same file system, as `os.replace` needs it. In a directory, so that
    # a search for files by suffix does not find an unfinished one.
    with tempfile.TemporaryDirectory(
        prefix=f".{path.stem}.", suffix=".tmp", dir=path.parent
    ) as temporary:
        new, old = Path(temporary, "new"), Path(temporary, "old")
        new.mkdir()
        old.mkdir()
        yield new / path.name
        for file in filter(Path.is_file, new.rglob("*")):
            with file.open("r+b") as opened:
                os.fsync(opened.fileno())
        # The main file last: if a sidecar fails, the old file stays.
        for item in sorted(new.iterdir(), key=lambda x: x.name == path.name):
            _replace(item, path.parent / item.name, old / item.name)


def _replace(new: Path, target: Path, old: Path) -> None:
    """Call `os.replace`, also where both are directories."""
    if not (new.is_dir() and target.is_dir()):
        os.replace(new, target)
        return
    os.replace(target, old)
    try:
        os.replace(new, target)
    except BaseException:
        os.replace(old, target)
        raise


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a binary file that replaces `path` when the block succeeds."""
    with replacing_path(path) as temporary, temporary.open("wb") as file:
        yield file


def replace_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8 atomically."""
    with replacing(path) as file:
        file.write(text.encode())


@contextlib.contextmanager
def writing(argument: str, path: Path) -> Iterator[None]:
    """Raise ValueError for `argument` if the block raises OSError."""
    try:
        yield
    except OSError as error:
        raise_invalid(argument, "a file to write", Unquoted(f"{path}: {error}"))


def check_writable(argument: str, path: Path) -> None:
    """Check a path before a long computation whose result it receives."""
    with writing(argument, path):
        if path.is_dir():
            raise IsADirectoryError("it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
