"""A file is replaced completely or not at all."""

import os
from contextlib import nullcontext
from pathlib import Path

import pytest

from kseq.files import (
    check_writable,
    replace_text,
    replacing,
    replacing_path,
    writing,
)
from tests.reliability.disk import contents, full_after, needs_limits

pytestmark = pytest.mark.once
NEW = b"new" * 1000
OLD = {"a.bin": b"old"}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"old")
    return tmp_path


def test_a_file_is_replaced_when_the_block_succeeds(folder):
    (folder / "usual.txt").touch()
    with replacing(folder / "a.bin") as file, replacing(folder / "a.bin") as _:
        file.write(NEW)
        assert (folder / "a.bin").read_bytes() == b"old"
        assert [*folder.glob("*.bin")] == [folder / "a.bin"]
    replace_text(folder / "deep" / "er" / "b.txt", "ä")
    assert {p.name for p in folder.iterdir()} == {"a.bin", "usual.txt", "deep"}
    assert (folder / "a.bin").read_bytes() == NEW
    assert (folder / "deep" / "er" / "b.txt").read_bytes() == "ä".encode()
    modes = {(folder / f).stat().st_mode for f in ("a.bin", "usual.txt")}
    assert len(modes) == 1


def write(path, *sidecars, error=None):
    with replacing_path(path) as new:
        assert path.parent in new.parents  # on the same file system
        for name in (path.name, *sidecars):
            new.with_name(name).write_bytes(NEW)
        if error is not None:
            raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_error_in_the_block_leaves_the_old_file(folder, error):
    with pytest.raises(error):
        write(folder / "a.bin", error=error)
    assert contents(folder) == OLD


@needs_limits
@pytest.mark.parametrize("size", [0, 2999])
def test_a_full_disk_leaves_the_old_file(folder, size):
    with (
        full_after(size),
        pytest.raises(OSError, match="File too large"),
        replacing(folder / "a.bin") as file,
    ):
        file.write(NEW)
    assert contents(folder) == OLD


@pytest.mark.parametrize("fails", [False, True])
def test_a_directory_is_replaced_or_restored(folder, monkeypatch, fails):
    def replace(source, target, move=os.replace):
        if fails and Path(source, "new").exists():
            raise OSError("no")
        move(source, target)

    (folder / "a").mkdir()
    (folder / "a" / "old").touch()
    monkeypatch.setattr(os, "replace", replace)
    with (
        pytest.raises(OSError, match="no") if fails else nullcontext(),
        replacing_path(folder / "a") as path,
    ):
        replace_text(path / "new", "")
    assert {*contents(folder)} == {"a.bin", "a/old" if fails else "a/new"}


def test_paths_that_cannot_be_written(folder):
    below = folder / "a.bin" / "b.bin"
    expected = "^out: expected a file to write; received .*"
    with pytest.raises(ValueError, match=f"{expected}b.bin"):
        check_writable("out", below)
    with pytest.raises(ValueError, match=f"{expected}it is a folder"):
        check_writable("out", folder)
    with (
        pytest.raises(ValueError, match=f"{expected}b.bin"),
        writing("out", below),
        replacing(below),
    ):
        pass
    check_writable("out", folder / "a.bin")
    assert contents(folder) == OLD


def test_bytes_are_synced_before_the_file_is_replaced(folder, monkeypatch):
    synced = []
    monkeypatch.setattr(
        os, "fsync", lambda _: synced.append(contents(folder)["a.bin"])
    )
    write(folder / "a.bin", "b.bin")
    assert synced == [b"old", b"old"]
    assert contents(folder) == {"a.bin": NEW, "b.bin": NEW}
