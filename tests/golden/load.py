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
