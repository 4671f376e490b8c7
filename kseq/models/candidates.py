from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from kseq.checks import (
    Unquoted,
    check_instance,
    check_positive_int,
    is_real,
    raise_invalid,
)
from kseq.types import Shape


def score_candidates(
    model: keras.Model,
    user: Mapping[str, Any],
    candidates: Mapping[str, Any],
    *,
    batch_size: int = 512,
) -> Any:
    """What a model predicts of each of some candidates for one user.

    The user's features are repeated, so that any model of `kseq.models` will
    do, and the candidates are predicted in batches.

    Args:
        model: takes features by their names and gives `(batch, 1)`.
        user: the features of one user: a single value, or an array with a batch
            of 1 or without one, `(1, maxlen)` or `(maxlen,)`; of numbers for
            each step the last axis, of 1, may be left out, too.
        candidates: the features of K candidates, `(K,)` or `(K, dimension)`.
            What is no input of the model is passed over, here and there.
        batch_size: how many candidates are predicted at once, at most: it
            bounds the memory. Where Keras compiles the model (`jit_compile`,
            as it does on JAX), fewer are filled up to a power of two, so that
            another K seldom compiles anew.

    Returns:
        A NumPy array `(K,)`.

    Raises:
        ValueError: `model` is no such model, the features are no dicts, one is
            missing or there twice, shapes do not fit, a feature is not of
            numbers, or one of ids of none that its input's dtype holds;
            `batch_size` is no positive integer.

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
    inputs = _inputs(model)
    for argument, features in (("user", user), ("candidates", candidates)):
        check_instance(
            argument, features, Mapping, "a dict of features by name"
        )
    batch_size = check_positive_int("batch_size", batch_size)
    if twice := inputs.keys() & user.keys() & candidates.keys():
        raise_invalid(
            "user and candidates",
            "each feature in one of them",
            Unquoted(f"in both {sorted(twice)}"),
        )
    if missing := inputs.keys() - user.keys() - candidates.keys():
        raise_invalid(
            "user and candidates",
            f"all of {list(inputs)}",
            Unquoted(f"neither with {sorted(missing)}"),
        )
    of_candidates = {}
    of_user = {}
    for name, symbol in inputs.items():
        given = candidates if name in candidates else user
        x = _numbers(name, given[name], symbol.dtype)
        if given is candidates:
            of_candidates[name] = _fitted(name, x, (None, *symbol.shape[1:]))
        else:
            of_user[name] = _fitted(name, x, (1, *symbol.shape[1:]))
    counts = {name: len(x) for name, x in of_candidates.items()}
    if len({*counts.values()}) != 1:
        raise_invalid(
            "candidates", "features of one number of candidates", counts
        )
    (count,) = {*counts.values()}
    scores = []
    for start in range(0, max(count, 1), batch_size):  # of none, one batch
        kept = min(count - start, batch_size)
        rows = np.arange(start, start + _padded(model, kept, batch_size))
        batch = {n: x.repeat(len(rows), axis=0) for n, x in of_user.items()}
        for name, x in of_candidates.items():
            # "clip" takes the last candidate again for each row past it.
            batch[name] = x.take(rows, axis=0, mode="clip")
        (found,) = keras.tree.flatten(model.predict_on_batch(batch))
        scores.append(np.asarray(found)[:kept, 0])
    return np.concatenate(scores)


def _padded(model: keras.Model, count: int, batch_size: int) -> int:
    """The rows of a batch: few numbers of them where each is compiled."""
    if count and model.jit_compile:
        return min(1 << (count - 1).bit_length(), batch_size)
    return count


def _inputs(model: keras.Model) -> dict[str, Any]:
    """The inputs by name, of a model that gives one score."""
    expected = "a Keras model of one output (batch, 1)"
    check_instance("model", model, keras.Model, expected)
    if not getattr(model, "inputs", None):  # a subclass, or not built
        raise_invalid("model", expected, model)
    outputs = [tuple(symbol.shape) for symbol in model.outputs]
    if [shape[1:] for shape in outputs] != [(1,)]:
        raise_invalid(
            "model", expected, Unquoted(f"outputs of shapes {outputs}")
        )
    return {symbol.name: symbol for symbol in model.inputs}


def _numbers(name: str, value: Any, dtype: str) -> Any:
    """An array of numbers; for an input of integers in its dtype."""
    try:
        x = np.asarray(value)
    except ValueError:  # ragged
        raise_invalid(name, "numbers, as one array", value)
    if not is_real(x):
        raise_invalid(name, "numbers", Unquoted(f"dtype {x.dtype}"))
    if not keras.backend.is_int_dtype(dtype):
        return x
    with np.errstate(invalid="ignore"):  # NaN: compared below
        whole = x.astype(dtype)
    if (lost := x[whole != x]).size:
        raise_invalid(name, f"integers that {dtype} holds", lost[0].item())
    return whole


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
    raise_invalid(name, f"shape {expected}", Unquoted(f"shape {x.shape}"))
