from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from kseq.checks import Words, refuse
from kseq.types import Shape


def score_candidates(
    model: keras.Model,
    user: Mapping[str, Any],
    candidates: Mapping[str, Any],
) -> Any:
    """What a model predicts of each of some candidates for one user.

    The user's features are repeated, so that any model of `kseq.models` will
    do, and all candidates are predicted in one batch.

    Args:
        model: takes features by their names and gives `(batch, 1)`.
        user: the features of one user: a single value, or an array with a batch
            of 1 or without one, `(1, maxlen)` or `(maxlen,)`.
        candidates: the features of K candidates, `(K,)` or `(K, dimension)`.
            What is no input of the model is passed over, here and there.

    Returns:
        A NumPy array `(K,)`.

    Raises:
        ValueError: a feature is missing or there twice, or shapes do not fit.

    Example:

    >>> import numpy as np
    >>> from kseq.feature_column import SparseFeat, VarLenSparseFeat
    >>> from kseq.models import DIN, score_candidates
    >>> item = SparseFeat("item", 100, embedding_dim=8)
    >>> clicks = SparseFeat("hist_item", 100, 8, embedding_name="item")
    >>> model = DIN([item, VarLenSparseFeat(clicks, maxlen=None)], ["item"])
    >>> user = {"hist_item": [7, 9, 23]}
    >>> score_candidates(model, user, {"item": [1, 2, 3, 4]}).shape
    (4,)
    """
    shapes = {symbol.name: tuple(symbol.shape) for symbol in model.inputs}
    if twice := shapes.keys() & user.keys() & candidates.keys():
        refuse(
            "user and candidates",
            "each feature in one of them",
            Words(f"in both {sorted(twice)}"),
        )
    if missing := shapes.keys() - user.keys() - candidates.keys():
        refuse(
            "user and candidates",
            f"all of {list(shapes)}",
            Words(f"neither with {sorted(missing)}"),
        )
    of_candidates = {}
    of_user = {}
    for name, shape in shapes.items():
        if name in candidates:
            x = np.asarray(candidates[name])
            if x.ndim == 1 and shape == (None, 1):
                x = x[:, None]
            of_candidates[name] = _check_fits(name, x, shape, None)
        else:
            x = np.asarray(user[name])
            x = x.reshape((*[1] * (len(shape) - x.ndim), *x.shape))
            of_user[name] = _check_fits(name, x, shape, 1)
    counts = {name: len(x) for name, x in of_candidates.items()}
    if len({*counts.values()}) != 1:
        refuse("candidates", "features of one number of candidates", counts)
    (count,) = {*counts.values()}
    repeated = {n: np.repeat(x, count, axis=0) for n, x in of_user.items()}
    scores = model.predict_on_batch(repeated | of_candidates)
    return np.asarray(scores)[:, 0]


def _check_fits(name: str, x: Any, shape: Shape, batch: int | None) -> Any:
    """Refuse an array that does not fit an input's shape."""
    expected = (batch, *shape[1:])
    if len(expected) != x.ndim or any(
        size not in (None, got)
        for size, got in zip(expected, x.shape, strict=True)
    ):
        refuse(name, f"shape {expected}", Words(f"shape {x.shape}"))
    return x
