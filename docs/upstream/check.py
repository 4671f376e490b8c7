"""Run the scripts in this folder and print which faults still exist.

`python docs/upstream/check.py`, or with the names of some scripts. The exit
status is 1 if a fault is gone or a script fails: kseq's workaround can then be
removed. Scripts whose backend is not installed are skipped.
"""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
# Keras's NumPy backend imports JAX; the other backends import themselves.
REQUIRED = {"numpy": "jax"}


def scripts(names):
    return [
        path
        for path in sorted(FOLDER.glob("*.py"))
        if path.name != "check.py" and (not names or path.stem in names)
    ]


def backend_of(script):
    first_line = script.read_text(encoding="utf-8").splitlines()[0]
    return re.fullmatch(r"# KERAS_BACKEND: (\w+)", first_line)[1]


def run(script, backend):
    """A script's state and the result that it printed."""
    process = subprocess.run(
        [sys.executable, script],
        env=os.environ | {"KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        timeout=600,
    )
    if process.returncode == 2:
        return "skipped", process.stdout.strip()
    result = re.search(r"^got: *(.*)$", process.stdout, re.MULTILINE)
    if result is None:
        return "fails", process.stderr.strip().splitlines()[-1:]
    return ("exists", "gone")[process.returncode], result[1]


def main():
    unexpected = 0
    for script in scripts(sys.argv[1:]):
        backend = backend_of(script)
        if not importlib.util.find_spec(REQUIRED.get(backend, backend)):
            print(f"{script.stem:32} {backend:11} not installed")
            continue
        state, result = run(script, backend)
        unexpected += state not in ("exists", "skipped")
        print(f"{script.stem:32} {backend:11} {state:7} {result}", flush=True)
    return int(unexpected > 0)


if __name__ == "__main__":
    sys.exit(main())
