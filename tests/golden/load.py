"""Load the recorded numbers of DeepCTR; README.md describes the format."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray

RECORDS = Path(__file__).parents[1] / "data" / "deepctr"
MODELS = RECORDS.with_name("deepctr_models")
TORCH_MODELS = RECORDS.with_name("torch_models")
HASHES = RECORDS.with_name("deepctr_hashes.npz")


@dataclass(frozen=True, eq=False)
class Case:
    """One call of a DeepCTR layer and its results.

    `inputs` and `grad_inputs` are in the order of the call. Weights are in
    DeepCTR's order; `grad_weights` has None for a weight that is not
    trainable. `weights_after` is None if the call changed no weight.
    """

    name: str
    kwargs: dict[str, Any]
    inputs: dict[str, Array]
    single_input: bool = False
    masks: list[Array | None] | None = None
    training: bool | None = None
    initial_weights: bool = False
    weight_names: list[str] = field(default_factory=list)
    trainable: list[bool] = field(default_factory=list)
    weights: list[Array] = field(default_factory=list)
    weights_after: list[Array] | None = None
    outputs: list[Array] = field(default_factory=list)
    cotangents: list[Array] = field(default_factory=list)
    grad_inputs: dict[str, Array] = field(default_factory=dict)
    grad_weights: list[Array | None] = field(default_factory=list)


def layer_names() -> list[str]:
    return sorted(path.stem for path in RECORDS.glob("*.npz"))


def cases(layer_name: str, folder: Path = RECORDS) -> list[Case]:
    """Return the recorded cases of a layer."""
    with np.load(folder / f"{layer_name}.npz") as file:
        arrays = dict(file)
    return [_case(row, arrays) for row in json.loads(str(arrays["cases"]))]


def _case(row: dict[str, Any], arrays: dict[str, Array]) -> Case:
    def load(kind: str, count: int) -> list[Array | None]:
        return [arrays.get(f"{row['name']}/{kind}/{i}") for i in range(count)]

    names, outputs = row.pop("inputs"), row.pop("outputs")
    weight_names = row.pop("weights")
    weights = len(weight_names)
    gradients = zip(names, load("grad_input", len(names)), strict=True)
    after = load("weight_after", weights)
    return Case(
        **row
        | {
            "weight_names": weight_names,
            "inputs": dict(zip(names, load("input", len(names)), strict=True)),
            "masks": row["masks"] and load("mask", len(row["masks"])),
            "weights": load("weight", weights),
            "weights_after": None if any(x is None for x in after) else after,
            "outputs": load("output", outputs),
            "cotangents": load("cotangent", outputs),
            "grad_inputs": {n: x for n, x in gradients if x is not None},
            "grad_weights": load("grad_weight", weights),
        }
    )


@dataclass(frozen=True, eq=False)
class ModelCase:
    """A trained DeepCTR model: arguments, files and predictions.

    `files` are the results of `save_weights` ("weights") and `save`
    ("model"). `unsaved` are the weights that these files lack, by name.
    """

    name: str
    model: str
    columns: list[dict[str, Any]]
    arguments: dict[str, Any]
    inputs: dict[str, Array]
    predictions: Array
    files: dict[str, bytes]
    unsaved: dict[str, Array]


def model_names(folder: Path = MODELS) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.npz"))


def model(name: str, folder: Path = MODELS) -> ModelCase:
    with np.load(folder / f"{name}.npz") as file:
        arrays = dict(file)
    row = json.loads(str(arrays["configuration"]))

    def by_name(kind: str, names: list[str]) -> dict[str, Array]:
        return {name: arrays[f"{kind}/{i}"] for i, name in enumerate(names)}

    return ModelCase(
        name=name,
        model=row["model"],
        columns=row["columns"],
        arguments=row["arguments"],
        inputs=by_name("input", row["inputs"]),
        predictions=arrays["predictions"],
        files={
            kind: arrays[f"file/{kind}"].tobytes()
            for kind in ("weights", "model")
        },
        unsaved=by_name("unsaved", row["unsaved"]),
    )


def checkpoint(name: str, folder: Path = TORCH_MODELS) -> bytes:
    """The bytes of a file that a PyTorch library wrote."""
    with np.load(folder / f"{name}.npz") as file:
        return file["checkpoint"].tobytes()


def make_columns(module: Any, rows: list[dict[str, Any]]) -> list[Any]:
    """Make feature columns of `deepctr` or `kseq` from recorded arguments."""
    columns = []
    for row in rows:
        options = {k: v for k, v in row.items() if k != "column"}
        if "sparsefeat" in options:
            (options["sparsefeat"],) = make_columns(
                module, [options["sparsefeat"]]
            )
        columns.append(getattr(module, row["column"])(**options))
    return columns


@dataclass(frozen=True, eq=False)
class HashCase:
    """Ids and their hashes in DeepCTR, a row for each number of buckets."""

    ids: Array
    mask_zero: bool
    buckets: Array
    hashed: Array


def hashes(path: Path = HASHES) -> dict[str, HashCase]:
    with np.load(path) as file:
        arrays = dict(file)
    return {
        key.removeprefix("hashed/"): HashCase(
            ids=arrays[f"ids/{key.split('/')[1]}"],
            mask_zero=key.endswith("True"),
            buckets=arrays["buckets"],
            hashed=array,
        )
        for key, array in arrays.items()
        if key.startswith("hashed/")
    }
