"""Simulate a full disk with the system's limit on file size."""

import contextlib

import pytest

try:
    import resource
except ImportError:  # Windows
    resource = None

needs_limits = pytest.mark.skipif(
    resource is None, reason="the system cannot limit file sizes"
)


@contextlib.contextmanager
def full_after(size):
    """Writing more than `size` bytes to a file fails in this block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def contents(folder):
    """Return the bytes of all files in a folder by relative path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
