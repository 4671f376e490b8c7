"""What the server needs, in a folder: the model as ONNX, and the items."""

import warnings
from pathlib import Path

import keras
import numpy as np

from kseq.files import replacing_path
from serving.onnx_scorer import onnx_scorer
from serving.ranker import Items, Ranker, Scorer

# The number of rows that a file was made with must not stay in it.
CHECKED_CANDIDATES = (3, 200)
LIMIT = 1e-5


def export(model: keras.Model, items: Items, folder: Path) -> dict[int, float]:
    """Write `model.onnx` and `items.json`, if onnxruntime gives the same.

    Returns:
        The largest difference of a score, by the number of candidates.

    Raises:
        ValueError: it is above `LIMIT`. The folder is as it was.
    """
    ranker = Ranker(items, model.predict_on_batch)
    model(ranker.features([], np.array([1])))  # Keras asks for a model in use
    with replacing_path(folder / "model.onnx") as model_file:
        with warnings.catch_warnings():
            # PyTorch tells of each number that its tracer takes for a
            # constant. Whether that was right is seen below.
            warnings.simplefilter("ignore")
            model.export(model_file, format="onnx", verbose=False)
        items.save(model_file.with_name("items.json"))
        return differences(ranker, items, onnx_scorer(model_file))


def differences(
    ranker: Ranker, items: Items, score: Scorer
) -> dict[int, float]:
    draw = np.random.default_rng(0)
    found = {}
    for count in CHECKED_CANDIDATES:
        history = draw.integers(1, len(items.ids), items.steps - 1)
        candidates = draw.integers(1, len(items.ids), count)
        features = ranker.features(history.tolist(), candidates)
        difference = np.abs(score(features) - ranker.score(features)).max()
        if not difference <= LIMIT:  # nor where it is NaN
            raise ValueError(
                f"for {count} candidates the model and its ONNX differ by "
                f"{difference:.1e}"
            )
        found[count] = float(difference)
    return found
