"""Train and save small DeepCTR models; load the files again and predict.

DIEN runs in a graph only, and therefore in its own process.
"""

from __future__ import annotations

import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import oracle
import tensorflow as tf  # noqa: TID251
from deepctr import feature_column, models
from load import ModelCase, make_columns
from model_configurations import BATCH, ModelConfiguration, draw_inputs

FILES = ("weights", "model")


@dataclass(frozen=True)
class ModelRecording:
    """A model's files, inputs and predictions.

    `unsaved` are the weights of AGRU and AUGRU by name, which DeepCTR's files
    do not contain.
    """

    configuration: ModelConfiguration
    inputs: dict[str, np.ndarray]
    predictions: np.ndarray
    files: dict[str, bytes]
    unsaved: dict[str, np.ndarray]


def record_models(rows: list[ModelConfiguration]) -> list[ModelRecording]:
    return _run(_record, [(row,) for row in rows])


def predict_again(
    rows: list[ModelConfiguration], cases: list[ModelCase]
) -> list[np.ndarray]:
    """Return the predictions of the recorded files, stacked by file."""
    return _run(_predict_again, list(zip(rows, cases, strict=True)))


def _run(function, calls):
    """Return the results in order; DIEN's come from another process."""
    graph = [call for call in calls if call[0].model == "DIEN"]
    results = iter(oracle.in_new_process(_run_in_graphs, function, graph))
    return [
        next(results) if call in graph else _run_one(function, call)
        for call in calls
    ]


def _run_in_graphs(function, calls):
    oracle.use_graphs()
    return [_run_one(function, call) for call in calls]


def _run_one(function, call):
    tf.keras.backend.clear_session()  # names count layers from zero
    tf.random.set_seed(0)
    return function(*call)


def _record(row):
    # The seed depends on the name: rows do not affect each other.
    rng = np.random.default_rng(zlib.crc32(f"model/{row.name}".encode()))
    for _ in range(row.models_before):
        _make(row)
    model = _make(row)
    model.set_weights([_draw(rng, weight) for weight in model.weights])
    unsaved = {v.name: _draw(rng, v) for v in _unsaved_variables()}
    _assign(unsaved)
    inputs = draw_inputs(row, rng)
    labels = rng.integers(0, 2, (BATCH, 1)).astype("float32")
    loss = "mse" if row.arguments.get("task") else "binary_crossentropy"
    model.compile(row.optimizer, loss)
    # Two steps create the optimizer's weights and change the statistics.
    x = _to_tensorflow(inputs)
    model.fit(x, labels, batch_size=3, shuffle=False, verbose=0)
    return ModelRecording(
        configuration=row,
        inputs=inputs,
        predictions=model.predict(x, verbose=0),
        files=_save(model),
        unsaved=unsaved,
    )


def _predict_again(row, case):
    predictions = []
    for kind in FILES:
        model = _make(row)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{kind}.h5"
            path.write_bytes(case.files[kind])
            # By position, because the counters in names differ.
            model.load_weights(str(path))
        _assign(case.unsaved)
        x = _to_tensorflow(case.inputs)
        predictions.append(model.predict(x, verbose=0))
    return np.stack(predictions)


def _make(row):
    columns = make_columns(feature_column, row.columns)
    return getattr(models, row.model)(columns, **row.arguments)


def _unsaved_variables():
    """Return the variables of AGRU and AUGRU, which no layer tracks."""
    if tf.executing_eagerly():
        return []
    return [
        variable
        for variable in tf.compat.v1.global_variables()
        if variable.name.startswith(("gru2/gates/", "gru2/candidate/"))
    ]


def _assign(values):
    if values:
        variables = {v.name: v for v in _unsaved_variables()}
        session = tf.compat.v1.keras.backend.get_session()
        for name, value in values.items():
            variables[name].load(value, session)


def _to_tensorflow(inputs):
    return {
        name: array.astype(object) if array.dtype.kind == "U" else array
        for name, array in inputs.items()
    }


def _save(model):
    with tempfile.TemporaryDirectory() as folder:
        paths = {kind: Path(folder) / f"{kind}.h5" for kind in FILES}
        model.save_weights(str(paths["weights"]))
        model.save(str(paths["model"]))
        return {kind: path.read_bytes() for kind, path in paths.items()}


def _draw(rng, weight):
    """Draw weights so large that swapping any two changes predictions."""
    name, shape = weight.name, tuple(weight.shape)
    if "moving_variance" in name:
        return rng.uniform(0.5, 1.5, shape).astype("float32")
    scale = 0.5 if len(shape) != 2 else shape[0] ** -0.5
    if "embeddings" in name:
        scale = 1.0
    elif any(part in name for part in ("local_activation", "lstm", "gru")):
        # With smaller weights all steps look alike to the attention.
        scale *= 4.0
    return (scale * rng.normal(size=shape)).astype("float32")
