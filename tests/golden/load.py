"""Reads the numbers recorded from DeepCTR; README.md tells the format."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

RECORDS = Path(__file__).parents[1] / "data" / "deepctr"
MODELS = RECORDS.with_name("deepctr_models")
HASHES = RECORDS.with_name("deepctr_hashes.npz")


@dataclass(frozen=True, eq=False)
class Case:
    """One call of a DeepCTR layer and the numbers that came out.

    `inputs` and `grad_inputs` are by role, in the order of the call. The
    lists about weights are in DeepCTR's order; an entry of `grad_weights`
    is None for a weight that is not trained. `weights_after` is None where
    the call left the weights as they were.
    """

    name: str
    kwargs: dict[str, Any]
    inputs: dict[str, Array]
    single_input: bool
    masks: list[Array | None] | None
    training: bool | None
    initial_weights: bool
    weight_names: list[str]
    trainable: list[bool]
    weights: list[Array]
    weights_after: list[Array] | None
    outputs: list[Array]
    cotangents: list[Array]
    grad_inputs: dict[str, Array]
    grad_weights: list[Array | None]


def cases(layer_name: str, folder: Path = RECORDS) -> list[Case]:
    """The recorded cases of a layer, by the name of its DeepCTR class."""
    with np.load(folder / f"{layer_name}.npz") as file:
        arrays = dict(file)
    return [_case(row, arrays) for row in json.loads(str(arrays["cases"]))]


def versions(layer_name: str, folder: Path = RECORDS) -> dict[str, str]:
    """The versions of Python and of the packages that made the record."""
    with np.load(folder / f"{layer_name}.npz") as file:
        found: dict[str, str] = json.loads(str(file["versions"]))
    return found


def _case(row: dict[str, Any], arrays: dict[str, Array]) -> Case:
    def optional(kind: str, count: int) -> list[Array | None]:
        return [arrays.get(f"{row['name']}/{kind}/{i}") for i in range(count)]

    def present(kind: str, count: int) -> list[Array]:
        return [array for array in optional(kind, count) if array is not None]

    roles: list[str] = row["inputs"]
    weights = len(row["weights"])
    masks = row["masks"]
    gradients = zip(roles, optional("grad_input", len(roles)), strict=True)
    return Case(
        name=row["name"],
        kwargs=row["kwargs"],
        inputs=dict(zip(roles, present("input", len(roles)), strict=True)),
        single_input=row["single_input"],
        masks=None if masks is None else optional("mask", len(masks)),
        training=row["training"],
        initial_weights=row["initial_weights"],
        weight_names=row["weights"],
        trainable=row["trainable"],
        weights=present("weight", weights),
        weights_after=present("weight_after", weights) or None,
        outputs=present("output", row["outputs"]),
        cotangents=present("cotangent", row["outputs"]),
        grad_inputs={
            role: array for role, array in gradients if array is not None
        },
        grad_weights=optional("grad_weight", weights),
    )


@dataclass(frozen=True, eq=False)
class ModelCase:
    """A trained DeepCTR model: how it was made, its files, its predictions.

    `files` are what `save_weights` ("weights") and `save` ("model") wrote.
    `unsaved` are the weights that DeepCTR's files lack, by their names.
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

    def named(kind: str, names: list[str]) -> dict[str, Array]:
        return {name: arrays[f"{kind}/{i}"] for i, name in enumerate(names)}

    return ModelCase(
        name=name,
        model=row["model"],
        columns=row["columns"],
        arguments=row["arguments"],
        inputs=named("input", row["inputs"]),
        predictions=arrays["predictions"],
        files={
            kind: arrays[f"file/{kind}"].tobytes()
            for kind in ("weights", "model")
        },
        unsaved=named("unsaved", row["unsaved"]),
    )


def make_columns(module: Any, rows: list[dict[str, Any]]) -> list[Any]:
    """The feature columns of a module of DeepCTR's names."""
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
    """Ids and their buckets in DeepCTR, a row for each number of buckets."""

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
