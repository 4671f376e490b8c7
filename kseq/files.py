"""Files that are written whole or not at all."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from kseq.checks import Unquoted, raise_invalid


@contextlib.contextmanager
def replacing_path(path: Path) -> Iterator[Path]:
    """Where to write what takes the place of `path` in the end.

    All that the block leaves beside the path that it is given takes the place
    of what has the same name beside `path`: a file, a folder in place of a
    folder, a file with others that belong to it. If the block, or a move,
    fails, all is as it was. Of a process that is killed a folder
    `.<stem>.<letters>.tmp` is left: it holds what was not yet in its place and,
    of a folder that was on its way out, the old one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside it: between file systems nothing is moved at once. A folder, so
    # that who looks for files of a kind finds none that is not whole.
    with tempfile.TemporaryDirectory(
        prefix=f".{path.stem}.", suffix=".tmp", dir=path.parent
    ) as folder:
        new, old = Path(folder, "new"), Path(folder, "old")
        new.mkdir()
        old.mkdir()
        yield new / path.name
        for file in new.rglob("*"):
            _reach_disk(file)
        with contextlib.ExitStack() as undo:
            for made in sorted(new.iterdir()):
                place, kept = path.parent / made.name, old / made.name
                undo.callback(_undo, made, place, kept)
                if place.exists():
                    _set_aside(place, kept, made)
                made.replace(place)
            undo.pop_all()


def _undo(made: Path, place: Path, kept: Path) -> None:
    """Whatever was done of a move: Ctrl-C may come between any two steps."""
    if not made.exists():
        place.replace(made)
    if kept.exists():
        kept.replace(place)


def _set_aside(place: Path, kept: Path, made: Path) -> None:
    """Keep what was there, in case that the new is taken back."""
    if made.is_dir() and place.is_dir():
        # No folder takes the place of one that is not empty.
        place.replace(kept)
        return
    # It stays where it is until the new takes its place, in one step.
    try:
        os.link(place, kept)
    except OSError:  # not every file system has a second name for a file
        shutil.copy2(place, kept)


def _reach_disk(file: Path) -> None:
    """Written through: a name must not outlive, in a crash, what it names."""
    if file.is_file():
        with file.open("r+b") as opened:
            os.fsync(opened.fileno())


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` once it is all written."""
    with replacing_path(path) as place, place.open("wb") as file:
        yield file


def replace_text(path: Path, text: str) -> None:
    """Write a text, whole or not at all."""
    with replacing(path) as file:
        file.write(text.encode())


@contextlib.contextmanager
def writing(argument: str, path: Path) -> Iterator[None]:
    """A block that writes to a path which the user named, as `argument`.

    Raises:
        ValueError: it cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise_invalid(argument, "a file to write", Unquoted(f"{path}: {error}"))


def check_writable(argument: str, path: Path) -> None:
    """Refuse at once what could not be written after a long computation."""
    with writing(argument, path):
        if path.is_dir():
            raise IsADirectoryError("it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
