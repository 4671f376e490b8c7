"""`import kseq` brings in no backend but the one that is chosen."""

import os
import subprocess
import sys

import keras
import pytest

# Keras itself imports an installed jax, so only these can be watched.
HEAVY = {"tensorflow", "torch"}
NOT_CHOSEN = HEAVY - {keras.backend.backend()}

CHECK = """
import sys
import kseq.layers.sequence, kseq.convert.deepctr, kseq.agreement
{after}
print(*sorted({heavy!r} & sys.modules.keys()))
"""


@pytest.fixture
def imported(tmp_path):
    """What of HEAVY is imported, in a place where all of it can be.

    The environments hold one backend each: an empty package stands for each of
    the others, so that an import of it would succeed, and be seen.
    """
    for name in NOT_CHOSEN:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()

    def run(after=""):
        path = [str(tmp_path), *sys.path]
        done = subprocess.run(
            [sys.executable, "-c", CHECK.format(after=after, heavy=HEAVY)],
            env=os.environ
            | {
                "KERAS_BACKEND": keras.backend.backend(),
                "PYTHONPATH": os.pathsep.join(filter(None, path)),
            },
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
        return set(done.stdout.split())

    return run


def test_only_the_chosen_backend(imported):
    assert imported() == HEAVY & {keras.backend.backend()}


@pytest.mark.parametrize("name", sorted(NOT_CHOSEN))
def test_the_check_can_fail(imported, name):
    assert name in imported(f"import {name}")
