from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from kseq.checks import Words, check_instance, refuse
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
            of 1 or without one, `(1, maxlen)` or `(maxlen,)`; of numbers for
            each step the last axis, of 1, may be left out, too.
        candidates: the features of K candidates, `(K,)` or `(K, dimension)`.
            What is no input of the model is passed over, here and there.

    Returns:
        A NumPy array `(K,)`.

    Raises:
        ValueError: `model` is no such model, the features are no dicts, one is
            missing or there twice, or shapes do not fit.

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
    shapes = _input_shapes(model)
    for argument, features in (("user", user), ("candidates", candidates)):
        check_instance(
            argument, features, Mapping, "a dict of features by name"
        )
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
            of_candidates[name] = _fitted(name, x, (None, *shape[1:]))
        else:
            x = np.asarray(user[name])
            of_user[name] = _fitted(name, x, (1, *shape[1:]))
    counts = {name: len(x) for name, x in of_candidates.items()}
    if len({*counts.values()}) != 1:
        refuse("candidates", "features of one number of candidates", counts)
    (count,) = {*counts.values()}
    repeated = {n: np.repeat(x, count, axis=0) for n, x in of_user.items()}
    (scores,) = keras.tree.flatten(
        model.predict_on_batch(repeated | of_candidates)
    )
    return np.asarray(scores)[:, 0]


def _input_shapes(model: keras.Model) -> dict[str, Shape]:
    """The shape of each input, of a model that gives one score."""
    expected = "a Keras model of one output (batch, 1)"
    check_instance("model", model, keras.Model, expected)
    if not getattr(model, "inputs", None):  # a subclass, or not built
        refuse("model", expected, model)
    outputs = [tuple(symbol.shape) for symbol in model.outputs]
    if [shape[1:] for shape in outputs] != [(1,)]:
        refuse("model", expected, Words(f"outputs of shapes {outputs}"))
    return {symbol.name: tuple(symbol.shape) for symbol in model.inputs}


def _fitted(name: str, x: Any, expected: Shape) -> Any:
    """An array with the axes of size 1 that it may come without."""
    for first in [(), (1,)] if expected[0] == 1 else [()]:
        for last in [(), (1,)] if expected[-1] == 1 else [()]:
            shape = (*first, *x.shape, *last)
            if len(shape) == len(expected) and all(
                size in (None, got)
                for size, got in zip(expected, shape, strict=True)
            ):
                return x.reshape(shape)
    refuse(name, f"shape {expected}", Words(f"shape {x.shape}"))
