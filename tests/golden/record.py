"""Record the numbers of DeepCTR 0.9.4, or check the records.

    python tests/golden/record.py [layers] [models] [hashes] [--check]

`tox run -e golden` creates the environment of requirements.txt and checks.
README.md describes the format.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import hash_record
import model_oracle
import numpy as np
import oracle
from configurations import TABLES
from load import HASHES, MODELS, RECORDS, model
from model_configurations import MODELS as MODEL_ROWS

TOLERANCE = 1e-6
# Gradients that cancel are rounding errors around 1e-7, such as that of a
# bias before a softmax.
LEAST_SCALE = 0.1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"default: {' '.join(PARTS)}")
    parser.add_argument("--out", type=Path, default=RECORDS.parent)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    errors = []
    for part in arguments.parts or PARTS:
        record, check, path = PARTS[part]
        run = check if arguments.check else record
        errors += run(arguments.out / path.name) or []
    for error in errors:
        print(error, file=sys.stderr)
    return 1 if errors else 0


def record_layers(folder: Path) -> None:
    for layer_name in TABLES:
        recordings = oracle.record_layer(layer_name, TABLES[layer_name])
        contents = {"cases": as_json([describe(r) for r in recordings])}
        for recording in recordings:
            contents.update(arrays(recording))
        write(folder / f"{layer_name}.npz", contents)


def as_json(value):
    return np.array(json.dumps(value))


def write(path, contents):
    path.parent.mkdir(parents=True, exist_ok=True)
    contents = {"versions": as_json(oracle.versions()), **contents}
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        np.savez_compressed(file, **contents)
    os.replace(temporary, path)
    print(path, flush=True)


def describe(recording):
    row = recording.configuration
    masks = row.masks and [mask is not None for mask in row.masks]
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


def arrays(recording):
    masks = enumerate(recording.configuration.masks or [])
    pairs = zip(recording.weights, recording.weights_after, strict=True)
    changed = not all(np.array_equal(before, after) for before, after in pairs)
    by_index = {
        "input": dict(enumerate(recording.inputs)),
        "mask": {i: mask for i, mask in masks if mask is not None},
        "weight": dict(enumerate(recording.weights)),
        "weight_after": dict(enumerate(recording.weights_after * changed)),
        "output": dict(enumerate(recording.outputs)),
        "cotangent": dict(enumerate(recording.cotangents)),
        "grad_input": recording.grad_inputs,
        "grad_weight": recording.grad_weights,
    }
    return {
        f"{recording.configuration.name}/{kind}/{i}": array
        for kind, found in by_index.items()
        for i, array in found.items()
    }


def check_layers(folder: Path) -> list[str]:
    """Record again in another folder and return the differences."""
    with tempfile.TemporaryDirectory() as other:
        record_layers(Path(other))
        return [
            error
            for layer_name in TABLES
            for error in compare(
                folder / f"{layer_name}.npz", Path(other, f"{layer_name}.npz")
            )
        ]


def compare(recorded: Path, new: Path) -> list[str]:
    with np.load(recorded) as before, np.load(new) as now:
        errors = []
        if json.loads(str(before["cases"])) != json.loads(str(now["cases"])):
            errors.append("the cases differ")
        keys = {*before.files, *now.files} - {"cases", "versions"}
        differences = {key: difference(before, now, key) for key in keys}
    errors += [
        f"{key} differs by {value:.1e} of its scale"
        for key, value in sorted(differences.items())
        if value > TOLERANCE
    ]
    largest = max(differences.values())
    print(f"{new.stem}: differences <= {largest:.1e}", flush=True)
    return [f"{new.stem}: {error}" for error in errors]


def difference(before, now, key):
    """Return the largest difference of two arrays, relative to their scale."""
    if key not in before.files or key not in now.files:
        return np.inf
    old, new = before[key], now[key]
    if old.shape != new.shape or old.dtype != new.dtype:
        return np.inf
    if old.dtype.kind != "f":
        return 0.0 if np.array_equal(old, new) else np.inf
    scale = max(float(np.max(np.abs(old))), LEAST_SCALE)
    distance = float(np.max(np.abs(old - new))) / scale
    return distance if np.isfinite(distance) else np.inf


def record_models(folder: Path) -> None:
    for recording in model_oracle.record_models(MODEL_ROWS):
        row = recording.configuration
        described = {
            "model": row.model,
            "columns": row.columns,
            "arguments": row.arguments,
            "inputs": list(recording.inputs),
            "unsaved": list(recording.unsaved),
        }
        contents = {
            "configuration": as_json(described),
            "predictions": recording.predictions,
        }
        for i, array in enumerate(recording.inputs.values()):
            contents[f"input/{i}"] = array
        for i, array in enumerate(recording.unsaved.values()):
            contents[f"unsaved/{i}"] = array
        for kind, content in recording.files.items():
            contents[f"file/{kind}"] = np.frombuffer(content, "uint8")
        write(folder / f"{row.name}.npz", contents)


def check_models(folder: Path) -> list[str]:
    """Load the recorded files and compare the predictions."""
    recorded = [model(row.name, folder) for row in MODEL_ROWS]
    predictions = model_oracle.predict_again(MODEL_ROWS, recorded)
    errors = []
    for row, case, now in zip(MODEL_ROWS, recorded, predictions, strict=True):
        described = (case.model, case.columns, case.arguments)
        if described != (row.model, row.columns, row.arguments):
            errors.append(f"{row.name}: the configurations differ")
        distance = float(np.max(np.abs(now - case.predictions)))
        print(f"{row.name}: differences <= {distance:.1e}", flush=True)
        if not distance <= TOLERANCE:
            errors.append(f"{row.name}: predictions differ by {distance:.1e}")
    return errors


def record_hashes(path: Path) -> None:
    write(path, hash_record.record_hashes())


def check_hashes(path: Path) -> list[str]:
    now = hash_record.record_hashes()
    with np.load(path) as file:
        before = {key: file[key] for key in file.files if key != "versions"}
    print(f"hashes: {len(now)} arrays", flush=True)
    return [
        f"hashes: {key} differs"
        for key in sorted(before.keys() | now.keys())
        if not np.array_equal(before.get(key), now.get(key))
    ]


PARTS = {
    "layers": (record_layers, check_layers, RECORDS),
    "models": (record_models, check_models, MODELS),
    "hashes": (record_hashes, check_hashes, HASHES),
}


if __name__ == "__main__":
    sys.exit(main())
