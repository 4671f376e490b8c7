"""Records what DeepCTR 0.9.4 computes, or checks the records.

Usage: python tests/golden/record.py [layers] [models] [hashes] [--out DIR]
       [--check]

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

import hash_record
import model_oracle
import numpy as np
import oracle
from configurations import TABLES
from load import HASHES, MODELS, RECORDS, model
from model_configurations import MODELS as MODEL_ROWS

TOLERANCE = 1e-6
# A gradient that cancels to rounding noise, as that of a bias before a
# softmax, has no scale of its own.
LEAST_SCALE = 0.1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "what",
        nargs="*",
        help="layers, models, hashes; all of them if not said",
    )
    parser.add_argument("--out", type=Path, default=RECORDS.parent)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    faults = []
    for what in arguments.what or PARTS:
        record, check, folder = PARTS[what]
        act = check if arguments.check else record
        faults += act(arguments.out / folder.name) or []
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


def record_layers(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for layer_name in TABLES:
        print(record_layer(layer_name, folder), flush=True)


def record_layer(layer_name: str, folder: Path) -> Path:
    recordings = oracle.record_layer(layer_name, TABLES[layer_name])
    path = folder / f"{layer_name}.npz"
    contents = {"cases": as_json([describe(r) for r in recordings])}
    for recording in recordings:
        contents.update(arrays(recording))
    write(path, contents)
    return path


def as_json(value: Any) -> np.ndarray:
    return np.array(json.dumps(value))


def write(path: Path, contents: dict[str, np.ndarray]) -> None:
    contents = {"versions": as_json(oracle.versions()), **contents}
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


def check_layers(folder: Path) -> list[str]:
    """Records again; a fault for each difference from the records."""
    faults = []
    with tempfile.TemporaryDirectory() as scratch:
        for layer_name in TABLES:
            fresh = record_layer(layer_name, Path(scratch))
            faults += compare(folder / fresh.name, fresh)
    return faults


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


def record_models(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for recording in model_oracle.record_models(MODEL_ROWS):
        path = folder / f"{recording.configuration.name}.npz"
        write(path, model_contents(recording))
        print(path, flush=True)


def model_contents(
    recording: model_oracle.ModelRecording,
) -> dict[str, np.ndarray]:
    row = recording.configuration
    described = {
        "model": row.model,
        "columns": row.columns,
        "arguments": row.arguments,
        "inputs": list(recording.inputs),
        "unsaved": list(recording.unsaved),
    }
    kinds = {
        "input": recording.inputs.values(),
        "unsaved": recording.unsaved.values(),
    }
    arrays = {
        f"{kind}/{i}": array
        for kind, values in kinds.items()
        for i, array in enumerate(values)
    }
    files = {
        f"file/{kind}": np.frombuffer(content, "uint8")
        for kind, content in recording.files.items()
    }
    return {
        "configuration": as_json(described),
        "predictions": recording.predictions,
        **arrays,
        **files,
    }


def check_models(folder: Path) -> list[str]:
    """Loads the recorded files; a fault where a prediction has changed."""
    recorded = [model(row.name, folder) for row in MODEL_ROWS]
    faults = []
    for row, case, now in zip(
        MODEL_ROWS,
        recorded,
        model_oracle.predict_again(MODEL_ROWS, recorded),
        strict=True,
    ):
        described = (case.model, case.columns, case.arguments)
        if described != (row.model, row.columns, row.arguments):
            faults.append(f"{row.name}: the configurations differ")
        apart = float(np.max(np.abs(now - case.predictions)))
        print(f"{row.name}: differences <= {apart:.1e}", flush=True)
        if not apart <= TOLERANCE:
            faults.append(f"{row.name}: predictions differ by {apart:.1e}")
    return faults


def record_hashes(path: Path) -> None:
    write(path, hash_record.record_hashes())
    print(path, flush=True)


def check_hashes(path: Path) -> list[str]:
    """Asks again; a fault for each array that has changed."""
    fresh = hash_record.record_hashes()
    with np.load(path) as file:
        before = {key: file[key] for key in file.files if key != "versions"}
    faults = [
        f"hashes: {key} differs"
        for key in sorted(before.keys() | fresh.keys())
        if not np.array_equal(before.get(key), fresh.get(key))
    ]
    print(f"hashes: {len(fresh)} arrays", flush=True)
    return faults


PARTS = {
    "layers": (record_layers, check_layers, RECORDS),
    "models": (record_models, check_models, MODELS),
    "hashes": (record_hashes, check_hashes, HASHES),
}


if __name__ == "__main__":
    sys.exit(main())
