"""Trains small DeepCTR models, saves them, and loads and runs what was saved.

DIEN runs in a graph only, and so in a process of its own.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import oracle
import tensorflow as tf  # noqa: TID251
from deepctr import feature_column, models
from load import ModelCase, make_columns
from model_configurations import BATCH, ModelConfiguration, draw_inputs
from tensorflow.keras import backend  # noqa: TID251

FILES = ("weights", "model")


@dataclass(frozen=True)
class ModelRecording:
    """A model's files, what went in and what came out.

    `unsaved` are AGRU's and AUGRU's weights, by their names: DeepCTR's files
    do not hold them.
    """

    configuration: ModelConfiguration
    inputs: dict[str, np.ndarray]
    predictions: np.ndarray
    files: dict[str, bytes]
    unsaved: dict[str, np.ndarray]


def record_models(rows: list[ModelConfiguration]) -> list[ModelRecording]:
    return _each(_record, [(row,) for row in rows])


def predict_again(
    rows: list[ModelConfiguration], cases: list[ModelCase]
) -> list[np.ndarray]:
    """What DeepCTR predicts with each recorded file, stacked by file."""
    return _each(_predict_again, list(zip(rows, cases, strict=True)))


def _each(function: Any, calls: list[tuple[Any, ...]]) -> list[Any]:
    """The function's results, DIEN's from another process, in order."""
    graph = [call for call in calls if call[0].model == "DIEN"]
    results = oracle.in_new_process(_all_in_graphs, function, graph)
    by_name = {call[0].name: r for call, r in zip(graph, results, strict=True)}
    for call in calls:
        if call[0].name not in by_name:
            by_name[call[0].name] = _fresh(function, call)
    return [by_name[call[0].name] for call in calls]


def _all_in_graphs(function: Any, calls: list[tuple[Any, ...]]) -> list[Any]:
    tf.compat.v1.disable_eager_execution()
    tf.compat.v1.experimental.output_all_intermediates(True)
    return [_fresh(function, call) for call in calls]


def _fresh(function: Any, call: tuple[Any, ...]) -> Any:
    backend.clear_session()  # names count layers from zero
    tf.random.set_seed(0)
    return function(*call)


def _record(row: ModelConfiguration) -> ModelRecording:
    rng = _generator(row)
    for _ in range(row.unnamed_before):
        _make(row)
    model = _make(row)
    model.set_weights(
        [_draw(rng, weight.name, weight.shape) for weight in model.weights]
    )
    unsaved = {
        v.name: _draw(rng, v.name, v.shape) for v in _unsaved_variables()
    }
    _assign(unsaved)
    inputs = draw_inputs(row, rng)
    labels = rng.integers(0, 2, (BATCH, 1)).astype("float32")
    loss = "mse" if row.arguments.get("task") else "binary_crossentropy"
    model.compile(row.optimizer, loss)
    # Two steps: the optimizer's own weights come to be, statistics move.
    given = _as_tensorflow_takes(inputs)
    model.fit(given, labels, batch_size=3, shuffle=False, verbose=0)
    return ModelRecording(
        configuration=row,
        inputs=inputs,
        predictions=model.predict(given, verbose=0),
        files=_saved(model),
        unsaved=unsaved,
    )


def _predict_again(row: ModelConfiguration, case: ModelCase) -> np.ndarray:
    given = _as_tensorflow_takes(case.inputs)
    predictions = []
    for kind in FILES:
        model = _make(row)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{kind}.h5"
            path.write_bytes(case.files[kind])
            # By place, not name: counters differ.
            model.load_weights(str(path))
        _assign(case.unsaved)
        predictions.append(model.predict(given, verbose=0))
    return np.stack(predictions)


def _make(row: ModelConfiguration) -> Any:
    columns = make_columns(feature_column, row.columns)
    return getattr(models, row.model)(columns, **row.arguments)


def _unsaved_variables() -> list[Any]:
    """The variables of AGRU and AUGRU, which their layer does not know of."""
    if tf.executing_eagerly():
        return []
    return [
        variable
        for variable in tf.compat.v1.global_variables()
        if variable.name.startswith(("gru2/gates/", "gru2/candidate/"))
    ]


def _assign(values: dict[str, np.ndarray]) -> None:
    if values:
        variables = {v.name: v for v in _unsaved_variables()}
        session = tf.compat.v1.keras.backend.get_session()
        for name, value in values.items():
            variables[name].load(value, session)


def _as_tensorflow_takes(
    inputs: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    return {
        name: array.astype(object) if array.dtype.kind == "U" else array
        for name, array in inputs.items()
    }


def _saved(model: Any) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        paths = {kind: os.path.join(folder, f"{kind}.h5") for kind in FILES}
        model.save_weights(paths["weights"])
        model.save(paths["model"])
        return {kind: Path(path).read_bytes() for kind, path in paths.items()}


def _draw(rng: np.random.Generator, name: str, shape: Any) -> np.ndarray:
    """Weights of some size everywhere: a swap of any two would show."""
    shape = tuple(shape)
    if "moving_variance" in name:
        return rng.uniform(0.5, 1.5, shape).astype("float32")
    scale = 0.5 if len(shape) != 2 else shape[0] ** -0.5
    if "embeddings" in name:
        scale = 1.0
    elif any(part in name for part in ("local_activation", "lstm", "gru")):
        # Else their steps are so alike that attention has nothing to choose.
        scale *= 4.0
    return (scale * rng.normal(size=shape)).astype("float32")


def _generator(row: ModelConfiguration) -> np.random.Generator:
    """A seed of its own, so that a new row leaves the others as they are."""
    return np.random.default_rng(zlib.crc32(f"model/{row.name}".encode()))
