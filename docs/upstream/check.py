"""Runs the scripts here and prints which faults are still there.

`python docs/upstream/check.py`, or with names of scripts. The exit status is 1
where a fault is gone: then its workaround in kseq can go, too. A script whose
backend is not installed is left out, one that wants a GPU says so.
"""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
# What a backend needs, and no other brings.
NEEDED = {"numpy": "jax"}


def scripts(names):
    chosen = sorted(HERE.glob("*.py"))
    return [
        p
        for p in chosen
        if p.name != "check.py" and (not names or p.stem in names)
    ]


def backend_of(script):
    first = script.read_text(encoding="utf-8").splitlines()[0]
    return re.fullmatch(r"# KERAS_BACKEND: (\w+)", first)[1]


def run(script, backend):
    environment = os.environ | {"KERAS_BACKEND": backend}
    done = subprocess.run(
        [sys.executable, script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    if done.returncode == 2:
        return "unseen", done.stdout.strip()
    said = re.search(r"^got: *(.*)$", done.stdout, re.MULTILINE)
    if said is None:
        return "fails", done.stderr.strip().splitlines()[-1:]
    return ("there", "gone")[done.returncode], said[1]


def main():
    gone = 0
    for script in scripts(sys.argv[1:]):
        backend = backend_of(script)
        if not importlib.util.find_spec(NEEDED.get(backend, backend)):
            print(f"{script.stem:32} {backend:11} not installed")
            continue
        state, said = run(script, backend)
        gone += state not in ("there", "unseen")
        print(f"{script.stem:32} {backend:11} {state:6} {said}", flush=True)
    return int(gone > 0)


if __name__ == "__main__":
    sys.exit(main())
