"""Run DeepCTR's models: load their files and predict, or train new ones.

DIEN runs in a graph only, and therefore in its own process.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import oracle
import tensorflow as tf  # noqa: TID251
from deepctr import feature_column, models
from load import ModelCase, make_columns

FILES = ("weights", "model")


def train(case: ModelCase, optimizer: str = "sgd", before: int = 0):
    """Return a case with the files and predictions of a trained model.

    Args:
        case: the model, its columns, arguments and inputs.
        optimizer: its name.
        before: models made first in the same session, so that Keras adds
            counters to the names of layers.
    """
    return _run(_train, case, optimizer, before)


def predict_again(case: ModelCase) -> np.ndarray:
    """Return the predictions of the recorded files, stacked by file."""
    return _run(_predict_again, case)


def _run(function, case, *arguments):
    if case.model == "DIEN":
        return oracle.in_new_process(_run_in_graph, function, case, *arguments)
    tf.keras.backend.clear_session()  # names count layers from zero
    tf.random.set_seed(0)
    return function(case, *arguments)


def _run_in_graph(function, *arguments):
    oracle.use_graphs()
    tf.random.set_seed(0)
    return function(*arguments)


def _train(case, optimizer, before):
    for _ in range(before):
        _make(case)
    model = _make(case)
    model.set_weights([_draw(weight) for weight in model.weights])
    unsaved = {v.name: _draw(v) for v in _unsaved_variables()}
    _assign(unsaved)
    x = _to_tensorflow(case.inputs)
    rows = len(next(iter(x.values())))
    labels = np.random.randint(0, 2, (rows, 1)).astype("float32")
    loss = "mse" if case.arguments.get("task") else "binary_crossentropy"
    model.compile(optimizer, loss)
    # Two steps create the optimizer's weights and change the statistics.
    model.fit(x, labels, batch_size=rows // 2, shuffle=False, verbose=0)
    predictions = model.predict(x, verbose=0)
    return replace(
        case, predictions=predictions, files=_save(model), unsaved=unsaved
    )


def _predict_again(case):
    predictions = []
    for kind in FILES:
        model = _make(case)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{kind}.h5"
            path.write_bytes(case.files[kind])
            # By position, because the counters in names differ.
            model.load_weights(str(path))
        _assign(case.unsaved)
        x = _to_tensorflow(case.inputs)
        predictions.append(model.predict(x, verbose=0))
    return np.stack(predictions)


def _make(case):
    columns = make_columns(feature_column, case.columns)
    return getattr(models, case.model)(columns, **case.arguments)


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


def _draw(weight):
    """Draw weights so large that swapping any two changes predictions."""
    value = oracle.draw(weight)
    if "embeddings" in weight.name:
        return value * weight.shape[0] ** 0.5
    scorers = ("local_activation", "lstm", "gru")
    # With smaller weights all steps look alike to the attention.
    return value * 4 if any(n in weight.name for n in scorers) else value
