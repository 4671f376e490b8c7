"""What the server needs, in a folder: the model as ONNX, and the items."""

from pathlib import Path

import keras
import numpy as np

import kseq.export
from kseq.files import replacing_path
from serving.ranker import Items, Ranker

# Rows that the file is compared with the model on, beside a single one.
CANDIDATES = 200


def export(
    model: keras.Model, items: Items, folder: Path
) -> kseq.export.Report:
    """Write `model.onnx` and `items.json`, if ONNX Runtime gives the same.

    Raises:
        kseq.export.ExportError: it does not. The folder is as it was.
    """
    with replacing_path(folder / "items.json") as items_file:
        items.save(items_file)
        return kseq.export.export(
            model, folder / "model.onnx", features(model, items)
        )


def features(model: keras.Model, items: Items) -> dict[str, np.ndarray]:
    """A user whose history is long, and candidates, all drawn."""
    draw = np.random.default_rng(0)
    history = draw.integers(1, len(items.ids), items.steps - 1).tolist()
    candidates = draw.integers(1, len(items.ids), CANDIDATES)
    ranker = Ranker(items, model.predict_on_batch)
    return ranker.features(history, candidates)
