"""Exports what the server needs: the model as ONNX, and the items."""

from pathlib import Path

import keras
import numpy as np

import kseq.export
from kseq.files import replacing_path
from serving.ranker import Items, Ranker

# The exported model is compared with this number of candidates, and with one.
CANDIDATES = 200


def export(
    model: keras.Model, items: Items, folder: Path
) -> kseq.export.Report:
    """Write `model.onnx` and `items.json` if ONNX Runtime agrees with Keras.

    Args:
        model: takes several candidates in one row (`ranking_model`).

    Raises:
        kseq.export.ExportError: it does not. The folder is not changed.
    """
    with replacing_path(folder / "items.json") as items_file:
        items.save(items_file)
        return kseq.export.export(
            model, folder / "model.onnx", features(model, items)
        )


def features(model: keras.Model, items: Items) -> dict[str, np.ndarray]:
    """Return the inputs of a user with random candidates."""
    draw = np.random.default_rng(0)
    history = draw.integers(1, len(items.ids), items.steps - 1).tolist()
    candidates = draw.integers(1, len(items.ids), CANDIDATES)
    ranker = Ranker(items, model.predict_on_batch)
    return ranker.features(history, candidates)
