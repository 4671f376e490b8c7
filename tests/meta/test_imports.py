"""`import kseq` imports no backend except the selected one."""

import os
import subprocess
import sys

import keras

# JAX is not checked: Keras itself imports it where it is installed.
CHECKED = {"tensorflow", "torch"}
PROGRAM = f"""
import sys
import kseq.agreement, kseq.convert.deepctr, kseq.layers.sequence
print(*({CHECKED} & sys.modules.keys()))
"""


def test_only_the_selected_backend_is_imported(tmp_path):
    selected = CHECKED & {keras.backend.backend()}
    # An environment has one backend only: an empty package stands in for each
    # of the others, so that an import of it succeeds and is noticed.
    for name in CHECKED - selected:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ
        | {
            "KERAS_BACKEND": keras.backend.backend(),
            "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]),
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert set(result.stdout.split()) == selected
