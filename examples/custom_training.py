"""Custom training loops for one model on TensorFlow, PyTorch and JAX.

    python examples/custom_training.py

trains a subclassed Keras model with kseq's layers in a loop written for each
backend (TensorFlow's GradientTape, PyTorch's autograd, JAX's `value_and_grad`
of `stateless_call`; examples/clicks/*_loop.py). Each backend runs in its own
process and starts from the same weights with the same batches. Losses,
predictions and weights, including Dice's moving statistics, must agree. If
keras-tuner is installed (`pip install keras-tuner six`, on TensorFlow also
`tensorboard`, which it does not declare), it then searches sizes and learning
rate with `fit`, and its trials must agree too.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

BACKENDS = ("tensorflow", "torch", "jax")
# float32 after 100 steps of Adam.
TOLERANCE = 1e-4


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--backends", nargs="+", choices=BACKENDS, default=BACKENDS
    )
    results = {}
    for backend in parser.parse_args().backends:
        results[backend] = run(backend)
        print(describe(backend, results[backend]), flush=True)
    differences = list(compare(results))
    for name, pair, difference in differences:
        print(f"largest difference of {name}, {pair}: {difference:.1e}")
    # Written so that NaN fails.
    wrong = [d for *_, d in differences if not d <= TOLERANCE]
    if wrong:
        print(f"error: expected {TOLERANCE:g} or less", file=sys.stderr)
    return int(bool(wrong))


def run(backend: str) -> dict[str, Any]:
    """Return the results of a worker process; raise if it fails."""
    with tempfile.TemporaryDirectory(prefix="clicks-") as folder:
        file = Path(folder) / "result.json"
        subprocess.run(
            [sys.executable, "-m", "clicks.worker", file],
            cwd=Path(__file__).parent,
            env={
                "TF_CPP_MIN_LOG_LEVEL": "2",
                **os.environ,
                "KERAS_BACKEND": backend,
            },
            check=True,
            stdout=subprocess.DEVNULL,  # of keras-tuner
        )
        return json.loads(file.read_text())


def describe(backend: str, result: dict[str, Any]) -> str:
    losses = result["losses"]
    lines = [
        f"{backend}: loss {losses[0]:.6f} at first, {losses[-1]:.6f} after "
        f"{len(losses)} steps, accuracy {result['accuracy']:.3f}, "
        f"{result['seconds']:.1f} s"
    ]
    if result["missing"]:
        lines.append(f"  no search without {' and '.join(result['missing'])}")
    for trial in result["search"]:
        choices = ", ".join(f"{k} {v}" for k, v in trial.items() if k != "loss")
        lines.append(f"  trial: {choices}: loss {trial['loss']:.6f}")
    return "\n".join(lines)


def compare(
    results: dict[str, dict[str, Any]],
) -> Iterator[tuple[str, str, float]]:
    """Yield what is compared, a pair of backends, and their difference."""
    values = {
        backend: {
            "the losses": result["losses"],
            "the predictions": result["predictions"],
            "the weights": result["weights"],
            "the trials": [
                value for trial in result["search"] for value in trial.values()
            ],
        }
        for backend, result in results.items()
    }
    for a, b in itertools.combinations(values, 2):
        for name in values[a]:
            one, other = np.array(values[a][name]), np.array(values[b][name])
            if one.size and other.size:  # no trials without keras-tuner
                yield name, f"{a} and {b}", float(np.abs(one - other).max())


if __name__ == "__main__":
    sys.exit(main())
