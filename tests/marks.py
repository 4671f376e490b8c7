"""Marks of parametrised tests."""

import pytest


def once(*values, **options):
    """A parameter whose test does not depend on the backend."""
    return pytest.param(*values, marks=pytest.mark.once, **options)
