"""`import kseq` brings in no backend but the one that is chosen."""

import os
import subprocess
import sys

import keras

# Keras itself imports an installed jax, so only these can be watched.
HEAVY = {"tensorflow", "torch"}

CHECK = """
import sys
{before}
import kseq.layers.sequence, kseq.convert.deepctr
print(*sorted({heavy!r} & sys.modules.keys()))
"""


def imported(before="", heavy=HEAVY):
    done = subprocess.run(
        [sys.executable, "-c", CHECK.format(before=before, heavy=heavy)],
        env=os.environ | {"KERAS_BACKEND": keras.backend.backend()},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_only_the_chosen_backend():
    assert imported() <= {keras.backend.backend()}


def test_the_check_can_fail():
    assert imported("import wave", heavy={"wave"}) == {"wave"}
