"""A file is written whole or not at all."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kseq import files
from kseq.files import (
    check_writable,
    replace_text,
    replacing,
    replacing_path,
    writing,
)
from tests.reliability.disk import contents, full_after, needs_limits

NEW = b"new" * 1000
OLD = {"a.bin": b"old"}
needs_kill = pytest.mark.skipif(
    not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL"
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"old")
    return tmp_path


def test_what_is_whole_takes_its_place(folder):
    with replacing(folder / "a.bin") as file:
        file.write(NEW)
        assert (folder / "a.bin").read_bytes() == b"old"
    replace_text(folder / "deep" / "er" / "b.txt", "words: ä")
    assert contents(folder) == {
        "a.bin": NEW,
        "deep/er/b.txt": "words: ä".encode(),
    }
    assert sorted(p.name for p in folder.iterdir()) == ["a.bin", "deep"]


def test_others_may_read_it_as_any_new_file(folder):
    (folder / "usual").touch()
    with replacing(folder / "a.bin") as file:
        file.write(NEW)
    modes = {(folder / name).stat().st_mode for name in ("usual", "a.bin")}
    assert len(modes) == 1


@needs_limits
@pytest.mark.parametrize("size", [0, 1, 2999])
def test_a_full_disk_leaves_the_old_file(folder, size):
    with (
        full_after(size),
        pytest.raises(OSError, match="File too large"),
        replacing(folder / "a.bin") as file,
    ):
        file.write(NEW)
    assert contents(folder) == OLD


def test_whatever_fails_leaves_the_old_file(folder):
    def write():
        with replacing_path(folder / "a.bin") as place:
            place.write_bytes(NEW)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert contents(folder) == OLD


def test_bytes_reach_the_disk_before_the_name_does(folder, monkeypatch):
    seen = []
    monkeypatch.setattr(
        files.os,
        "fsync",
        lambda _: seen.append((folder / "a.bin").read_bytes()),
    )
    with replacing_path(folder / "a.bin") as place:
        place.write_bytes(NEW)
        place.with_name("b.bin").write_bytes(NEW)
    assert seen == [b"old", b"old"]


def test_a_file_takes_no_folder_s_place(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "precious").write_bytes(b"old")
    with (
        pytest.raises(OSError, match=r"directory|denied"),
        replacing(tmp_path / "a") as file,
    ):
        file.write(NEW)
    assert contents(tmp_path) == {"a/precious": b"old"}


def test_a_folder_takes_a_folder_s_place(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").write_bytes(b"old")
    with replacing_path(tmp_path / "a") as place:
        place.mkdir()
        (place / "new").write_bytes(NEW)
    assert contents(tmp_path) == {"a/new": NEW}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("fails", range(5))
def test_a_move_that_fails_is_undone(tmp_path, monkeypatch, fails, after):
    """A folder, and two files beside it, of which one is new.

    It fails, or is stopped when it is done.
    """
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").write_bytes(b"old")
    (tmp_path / "a.1").write_bytes(b"old")
    before = contents(tmp_path)
    moves = iter(range(10))
    move = Path.replace

    def replace(self, target):
        stops = next(moves) == fails
        if stops and not after:
            raise OSError("no more moves")
        move(self, target)
        if stops:
            raise OSError("no more moves")

    def write():
        with replacing_path(tmp_path / "a") as place:
            place.mkdir()
            (place / "new").write_bytes(NEW)
            place.with_name("a.1").write_bytes(NEW)
            place.with_name("a.2").write_bytes(NEW)

    monkeypatch.setattr(Path, "replace", replace)
    if fails == 4:  # the folder's two, and one of each file
        write()
        assert contents(tmp_path) == {"a/new": NEW, "a.1": NEW, "a.2": NEW}
        return
    with pytest.raises(OSError, match="no more moves"):
        write()
    assert contents(tmp_path) == before


def test_where_a_file_has_one_name_only(folder, monkeypatch):
    """A file system without links: a copy is kept instead."""

    def link(*_):
        raise OSError("not supported")

    monkeypatch.setattr(files.os, "link", link)
    test_what_is_whole_takes_its_place(folder)


def test_threads_write_one_file_at_once(folder):
    """Whoever is last wins; nobody's file is mixed with another's."""
    texts = [bytes([i]) * 100_000 for i in range(8)]
    start = threading.Barrier(len(texts))

    def write(text):
        start.wait()
        for _ in range(5):
            with replacing(folder / "a.bin") as file:
                file.write(text)

    threads = [threading.Thread(target=write, args=(t,)) for t in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(contents(folder)) == {"a.bin"}
    assert (folder / "a.bin").read_bytes() in texts


# A process that is killed. It loads files.py alone, so it starts at once.

KILLED = """
import importlib.util, os, signal, sys
from pathlib import Path
from unittest.mock import MagicMock

sys.modules.update({"kseq": MagicMock(), "kseq.checks": MagicMock()})

_, source, folder, moment = sys.argv
spec = importlib.util.spec_from_file_location("files", source)
files = importlib.util.module_from_spec(spec)
spec.loader.exec_module(files)
place, count = moment.split()
count = int(count)


def maybe(name, did):
    def call(*arguments):
        global count
        if name == place:
            if count == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            count -= 1
        return did(*arguments)

    return call


files.os.fsync = maybe("sync", os.fsync)
Path.replace = maybe("move", Path.replace)
with files.replacing_path(Path(folder, "a.bin")) as path:
    for name in ("a.bin", "a.bin.more"):
        with path.with_name(name).open("wb", buffering=0) as file:
            for i in range(3):
                maybe("write", file.write)(b"new" * 1000)
"""


def kill(folder, moment):
    arguments = [files.__file__, str(folder), moment]
    command = [sys.executable, "-c", KILLED, *arguments]
    done = subprocess.run(command, timeout=300)
    return done.returncode


@needs_kill
@pytest.mark.parametrize(
    "moment",
    ["write 0", "write 2", "write 5", "sync 0", "sync 1", "move 0"],
)
def test_a_kill_leaves_the_old_files(folder, moment):
    (folder / "a.bin.more").write_bytes(b"old too")
    before = contents(folder)
    assert kill(folder, moment) == -signal.SIGKILL
    left = contents(folder)
    assert {n: x for n, x in left.items() if "/" not in n} == before
    # What is left of it is out of the way of who looks for files.
    assert {p.name for p in folder.glob("*.bin")} == {"a.bin"}
    # And in nobody's way who tries again.
    assert kill(folder, "never 0") == 0
    now = contents(folder)
    assert {n: x for n, x in now.items() if "/" not in n} == {
        "a.bin": NEW * 3,
        "a.bin.more": NEW * 3,
    }


@needs_kill
def test_a_kill_between_two_moves_leaves_each_file_whole(folder):
    (folder / "a.bin.more").write_bytes(b"old too")
    assert kill(folder, "move 1") == -signal.SIGKILL
    assert (folder / "a.bin").read_bytes() == NEW * 3
    assert (folder / "a.bin.more").read_bytes() == b"old too"


# What a command says of a place that cannot be written.


def test_a_place_below_a_file_is_refused(folder):
    path = folder / "a.bin" / "b.bin"
    with pytest.raises(
        ValueError, match=r"^out: expected a file to write; .*b"
    ):
        check_writable("out", path)
    with (
        pytest.raises(ValueError, match=r"^out: expected a file to write; .*b"),
        writing("out", path),
        replacing(path) as file,
    ):
        file.write(NEW)
    assert contents(folder) == OLD


def test_a_folder_is_no_file_to_write(tmp_path):
    with pytest.raises(ValueError, match="it is a folder"):
        check_writable("out", tmp_path)


def test_a_place_that_can_be_written_stays_as_it_is(folder):
    check_writable("out", folder / "a.bin")
    check_writable("out", folder / "deep" / "b.bin")
    assert contents(folder) == OLD
