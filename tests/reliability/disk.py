"""A disk that is full, for real: the system refuses further bytes."""

import contextlib

import pytest

try:
    import resource
except ImportError:  # Windows
    resource = None

needs_limits = pytest.mark.skipif(
    resource is None, reason="this system limits no process's files"
)


@contextlib.contextmanager
def full_after(size):
    """In this block no file grows beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def contents(folder):
    """All files of a folder, by their paths within it."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
