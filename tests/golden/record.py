"""Records what DeepCTR 0.9.4 computes, or checks the records.

Usage: python tests/golden/record.py [--out DIR] [--check]

Needs the environment of requirements.txt beside this file (`tox run -e
golden` makes it); README.md there describes the format of the records.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import oracle
from configurations import TABLES

RECORDS = Path(__file__).parents[1] / "data" / "deepctr"
TOLERANCE = 1e-6
# A gradient that cancels to rounding noise, as that of a bias before a
# softmax, has no scale of its own.
LEAST_SCALE = 0.1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=RECORDS)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    if arguments.check:
        return check(arguments.out)
    record(arguments.out)
    return 0


def record(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for layer_name in TABLES:
        print(record_layer(layer_name, folder), flush=True)


def record_layer(layer_name: str, folder: Path) -> Path:
    recordings = oracle.record_layer(layer_name, TABLES[layer_name])
    path = folder / f"{layer_name}.npz"
    write(path, recordings)
    return path


def write(path: Path, recordings: list[oracle.Recording]) -> None:
    descriptions = [describe(recording) for recording in recordings]
    contents = {
        "cases": np.array(json.dumps(descriptions)),
        "versions": np.array(json.dumps(oracle.versions())),
    }
    for recording in recordings:
        contents.update(arrays(recording))
    unfinished = path.with_suffix(".tmp")
    with unfinished.open("wb") as file:
        np.savez_compressed(file, **contents)
    os.replace(unfinished, path)


def describe(recording: oracle.Recording) -> dict[str, Any]:
    row = recording.configuration
    masks = None
    if row.masks is not None:
        masks = [mask is not None for mask in row.masks]
    return {
        "name": row.name,
        "kwargs": row.kwargs,
        "inputs": list(row.inputs),
        "single_input": row.single_input,
        "masks": masks,
        "training": row.training,
        "initial_weights": row.initial_weights,
        "weights": recording.weight_names,
        "trainable": recording.trainable,
        "outputs": len(recording.outputs),
    }


def arrays(recording: oracle.Recording) -> dict[str, np.ndarray]:
    masks = recording.configuration.masks or []
    given = {i: mask for i, mask in enumerate(masks) if mask is not None}
    kinds = {
        "input": dict(enumerate(recording.inputs)),
        "mask": given,
        "weight": dict(enumerate(recording.weights)),
        "weight_after": changed_weights(recording),
        "output": dict(enumerate(recording.outputs)),
        "cotangent": dict(enumerate(recording.cotangents)),
        "grad_input": recording.grad_inputs,
        "grad_weight": recording.grad_weights,
    }
    name = recording.configuration.name
    return {
        f"{name}/{kind}/{i}": array
        for kind, by_position in kinds.items()
        for i, array in by_position.items()
    }


def changed_weights(recording: oracle.Recording) -> dict[int, np.ndarray]:
    """All weights after the call, or none where the call changed none."""
    pairs = zip(recording.weights, recording.weights_after, strict=True)
    if all(np.array_equal(before, after) for before, after in pairs):
        return {}
    return dict(enumerate(recording.weights_after))


def check(folder: Path) -> int:
    """Records again and returns 1 where that differs from the records."""
    faults = []
    with tempfile.TemporaryDirectory() as scratch:
        for layer_name in TABLES:
            fresh = record_layer(layer_name, Path(scratch))
            faults += compare(folder / fresh.name, fresh)
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


def compare(recorded: Path, fresh: Path) -> list[str]:
    """Prints one line on a layer and returns its faults."""
    layer_name = recorded.stem
    if not recorded.exists():
        return [f"{layer_name}: {recorded} is missing"]
    with np.load(recorded) as before, np.load(fresh) as now:
        cases = json.loads(str(now["cases"]))
        faults = []
        if json.loads(str(before["cases"])) != cases:
            faults.append(f"{layer_name}: the cases differ")
        keys = {*before.files, *now.files} - {"cases", "versions"}
        differences = {
            key: difference(before, now, key) for key in sorted(keys)
        }
    faults += [
        f"{layer_name}: {key} differs by {value:.1e} of its scale"
        for key, value in differences.items()
        if value > TOLERANCE
    ]
    largest = max(differences.values())
    print(
        f"{layer_name}: {len(cases)} cases, differences <= {largest:.1e}",
        flush=True,
    )
    return faults


def difference(before: Any, now: Any, key: str) -> float:
    """The largest difference of two arrays in units of their scale."""
    if key not in before.files or key not in now.files:
        return np.inf
    old, new = before[key], now[key]
    if old.shape != new.shape or old.dtype != new.dtype:
        return np.inf
    if old.dtype.kind != "f":
        return 0.0 if np.array_equal(old, new) else np.inf
    scale = max(float(np.max(np.abs(old))), LEAST_SCALE)
    apart = float(np.max(np.abs(old - new))) / scale
    return apart if np.isfinite(apart) else np.inf


if __name__ == "__main__":
    sys.exit(main())
