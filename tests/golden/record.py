"""Compute the recorded numbers with DeepCTR 0.9.4 again, and compare them.

    python tests/golden/record.py [layers] [models] [hashes]

`tox run -e golden` creates the environment of requirements.txt and runs this.
README.md describes the format, and how a new case is recorded.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import model_oracle
import numpy as np
import oracle
from load import (
    HASHES,
    MODELS,
    RECORDS,
    Case,
    ModelCase,
    cases,
    hashes,
    layer_names,
    model,
    model_names,
)

TOLERANCE = 1e-6
# Gradients that cancel are rounding errors around 1e-7, such as that of a
# bias before a softmax.
LEAST_SCALE = 0.1


def check_layers() -> list[str]:
    errors = []
    for layer in layer_names():
        recorded = cases(layer)
        computed = oracle.run_layer(layer, recorded)
        before, now = contents(recorded), contents(computed)
        errors += compare(layer, before, now)
    return errors


def check_models() -> list[str]:
    errors = []
    for name in model_names():
        case = model(name)
        for now in model_oracle.predict_again(case):
            recorded = {"predictions": case.predictions}
            errors += compare(name, recorded, {"predictions": now})
    return errors


def check_hashes() -> list[str]:
    return [
        f"hashes: {name} differs"
        for name, case in hashes().items()
        for i, buckets in enumerate(case.buckets)
        if not np.array_equal(
            oracle.hash_ids(case.ids, buckets, case.mask_zero), case.hashed[i]
        )
    ]


def compare(name, before, now) -> list[str]:
    found = {key: difference(before, now, key) for key in before | now}
    print(f"{name}: differences <= {max(found.values()):.1e}", flush=True)
    return [
        f"{name}: {key} differs by {value:.1e} of its scale"
        for key, value in found.items()
        if not value <= TOLERANCE
    ]


def difference(before, now, key):
    """Return the largest difference of two arrays, relative to their scale."""
    if key not in before or key not in now:
        return np.inf
    old, new = before[key], now[key]
    if old.shape != new.shape or old.dtype != new.dtype:
        return np.inf
    if old.dtype.kind != "f":
        return 0.0 if np.array_equal(old, new) else np.inf
    scale = max(float(np.max(np.abs(old))), LEAST_SCALE)
    distance = float(np.max(np.abs(old - new))) / scale
    return distance if np.isfinite(distance) else np.inf


def contents(rows: list[Case]) -> dict[str, np.ndarray]:
    """Return the arrays of a layer's file."""
    arrays = {"cases": as_json([describe(case) for case in rows])}
    for case in rows:
        gradients = [case.grad_inputs.get(name) for name in case.inputs]
        by_kind = {
            "input": case.inputs.values(),
            "mask": case.masks or [],
            "weight": case.weights,
            "weight_after": case.weights_after or [],
            "output": case.outputs,
            "cotangent": case.cotangents,
            "grad_input": gradients,
            "grad_weight": case.grad_weights,
        }
        for kind, found in by_kind.items():
            for i, array in enumerate(found):
                if array is not None:
                    arrays[f"{case.name}/{kind}/{i}"] = array
    return arrays


def describe(case: Case):
    return {
        "name": case.name,
        "kwargs": case.kwargs,
        "inputs": list(case.inputs),
        "single_input": case.single_input,
        "masks": case.masks and [mask is not None for mask in case.masks],
        "training": case.training,
        "initial_weights": case.initial_weights,
        "weights": case.weight_names,
        "trainable": case.trainable,
        "outputs": len(case.outputs),
    }


def as_json(value):
    return np.array(json.dumps(value))


def add_case(layer: str, case: Case) -> None:
    """Add a case with a name, arguments and inputs to a layer's file."""
    recorded = cases(layer)
    added = oracle.run_layer(layer, [case])
    write(RECORDS / f"{layer}.npz", contents(recorded + added))


def add_model(case: ModelCase, **options) -> None:
    """Train a model, with the options of `train`, and write its file."""
    case = model_oracle.train(case, **options)
    configuration = {
        "model": case.model,
        "columns": case.columns,
        "arguments": case.arguments,
        "inputs": list(case.inputs),
        "unsaved": list(case.unsaved),
    }
    arrays = {
        "configuration": as_json(configuration),
        "predictions": case.predictions,
    }
    for kind in ("input", "unsaved"):
        found = case.inputs if kind == "input" else case.unsaved
        arrays |= {f"{kind}/{i}": x for i, x in enumerate(found.values())}
    for kind, content in case.files.items():
        arrays[f"file/{kind}"] = np.frombuffer(content, "uint8")
    write(MODELS / f"{case.name}.npz", arrays)


def write(path: Path, arrays) -> None:
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        np.savez_compressed(file, versions=as_json(oracle.versions()), **arrays)
    os.replace(temporary, path)


PARTS = {"layers": check_layers, "models": check_models, "hashes": check_hashes}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"default: {' '.join(PARTS)}")
    parts = parser.parse_args().parts or PARTS
    errors = [error for part in parts for error in PARTS[part]()]
    print(f"{HASHES.parent}: {len(errors)} differences")
    for error in errors:
        print(error, file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
