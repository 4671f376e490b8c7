"""Which saved layers give which numbers on which backend, as a table.

Loads the files that tensorflow, torch and jax saved (`make.py`) on each of the
five backends, which must all be installed, and puts the table into
docs/saving.md:

    python -m tests.layers.saved.table
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "saving.md"
PLACE = re.compile(r"(<!-- saved: begin -->\n).*?(<!-- saved: end -->)", re.S)
LOADED_ON = ("tensorflow", "torch", "jax", "numpy", "openvino")


def measure():
    """Each output's largest difference here, in units of its largest value."""
    import keras
    import numpy as np

    from tests.layers.models import predict
    from tests.layers.saved.make import SAVED
    from tests.layers.saved.test_saved import MADE_ON, recorded

    worst = {}
    for backend in MADE_ON:
        model = keras.saving.load_model(SAVED / f"{backend}.keras")
        inputs, outputs = recorded(backend)
        got = predict(model, [inputs[s.name] for s in model.inputs])
        kinds = {layer.name: type(layer).__name__ for layer in model.layers}
        for name, expected in outputs.items():
            kind = kinds[f"{name}_layer"]
            distance = np.abs(got[name] - expected).max()
            relative = float(distance / np.abs(expected).max())
            worst[kind] = max(worst.get(kind, 0.0), relative)
    return worst


def measured_on(backend):
    done = subprocess.run(
        [sys.executable, "-m", "tests.layers.saved.table", "--here"],
        env={**os.environ, "KERAS_BACKEND": backend},
        stdout=subprocess.PIPE,
        check=True,
        cwd=ROOT,
    )
    return json.loads(done.stdout.splitlines()[-1])


def main():
    found = {backend: measured_on(backend) for backend in LOADED_ON}
    rows = [
        "| layer | " + " | ".join(LOADED_ON) + " |",
        "|---" * (len(LOADED_ON) + 1) + "|",
    ]
    for kind in sorted(found[LOADED_ON[0]]):
        cells = [f"{found[backend][kind]:.1e}" for backend in LOADED_ON]
        rows.append(f"| `{kind}` | " + " | ".join(cells) + " |")
    table = "\n".join(rows)
    text, places = PLACE.subn(
        lambda match: f"{match[1]}\n{table}\n\n{match[2]}", PAGE.read_text()
    )
    if places != 1:
        sys.exit(f"{PAGE}: expected one table; found {places}")
    PAGE.write_text(text)


if __name__ == "__main__":
    if sys.argv[1:] == ["--here"]:
        print(json.dumps(measure()))
    else:
        main()
