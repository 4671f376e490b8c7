import sys
from collections.abc import Mapping
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import keras
import numpy as np
from numpy.typing import ArrayLike, NDArray

from kseq.checks import (
    Unquoted,
    check_instance,
    check_positive_int,
    raise_invalid,
)
from kseq.frames import to_dict
from kseq.models.arrays import reshape, to_array
from kseq.models.click_model import ClickModel
from kseq.models.parts import CandidateScores, UserState
from kseq.models.split import find_layer, split_model, vocabulary_sizes


def score_candidates(
    model: keras.Model,
    user: Mapping[str, ArrayLike],
    candidates: Mapping[str, ArrayLike],
    *,
    batch_size: int = 512,
) -> NDArray[Any]:
    """Predict the score of each candidate for one user.

    A model of `kseq.models` computes the user's part once and the scores in
    batches of candidates (`split_model`). For other models, and for features in
    `candidates` that a model does not have as the candidate's
    (`candidate_feature_list`), the user's features are repeated.

    Args:
        model: a Keras model that takes a dict of features by name and returns
            `(batch, 1)`, or a model of `kseq.models` that returns `(batch,
            candidates)`.
        user: the features of one user by name: each a single value, or an array
            with or without a batch axis of size 1, `(1, maxlen)` or
            `(maxlen,)`. For one number a step, the last axis of size 1 may be
            omitted too.
        candidates: the features of K candidates by name, `(K,)` or
            `(K, dimension)`, as a dict or a data frame. Names that are not
            inputs of the model are ignored, here and in `user`.
        batch_size: the largest number of candidates in a batch, which bounds
            the memory. Where Keras compiles the model (`jit_compile`, as on
            JAX), a smaller batch is padded to a power of two, so that a new K
            rarely compiles the model again. Histories of any length
            (`maxlen=None`) of a model of `kseq.models` are padded likewise,
            unless padding changes the score (`DSIN` without `mask_padding`).

    Returns:
        A NumPy array `(K,)`.

    Raises:
        ValueError: `model` has other outputs; a feature is missing, in both
            dicts, not numeric, or of another shape than its input; an id is not
            a row of its table; a number is not finite; or `batch_size` is not a
            positive integer.

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
    inputs = _check_model(model)
    user, candidates = to_dict(user), to_dict(candidates)
    for argument, features in (("user", user), ("candidates", candidates)):
        check_instance(
            argument, features, Mapping, "a dict of features by name"
        )
    batch_size = check_positive_int("batch_size", batch_size)
    if duplicates := inputs.keys() & user.keys() & candidates.keys():
        raise_invalid(
            "user and candidates",
            "each feature in one of them",
            Unquoted(f"in both {sorted(duplicates)}"),
        )
    if missing := inputs.keys() - user.keys() - candidates.keys():
        raise_invalid(
            "user and candidates",
            f"all of {list(inputs)}",
            Unquoted(f"none of {sorted(missing)}"),
        )
    parts = split(model)
    of_candidate = set() if parts is None else {*parts.candidate_inputs}
    is_split = of_candidate == inputs.keys() & candidates.keys()
    candidate_arrays = {}
    user_arrays = {}
    sizes = vocabulary_sizes(model)
    for name, symbol in inputs.items():
        shape = tuple(symbol.shape[1:])
        if name in of_candidate:
            shape = shape[1:] or (1,)
        if name in candidates:
            x = candidates[name]
            x = to_array(name, x, symbol.dtype, sizes.get(name))
            candidate_arrays[name] = reshape(name, x, (None, *shape))
        else:
            x = to_array(name, user[name], symbol.dtype, sizes.get(name))
            user_arrays[name] = reshape(name, x, (1, *shape))
    user_arrays = _pad_histories(model, user_arrays, of_candidate)
    counts = {name: len(x) for name, x in candidate_arrays.items()}
    if len({*counts.values()}) != 1:
        raise_invalid(
            "candidates", "features of one number of candidates", counts
        )
    (count,) = {*counts.values()}
    state, scorer = user_arrays, model
    if parts is not None and is_split:
        state, scorer = parts.user.predict_on_batch(state), parts.candidates
    scores = []
    for start in range(0, max(count, 1), batch_size):  # one batch for count 0
        size = min(count - start, batch_size)
        padded_size = _padded_size(model, size, batch_size)
        rows = np.arange(start, start + padded_size)
        batch = dict(state)
        if not is_split:
            batch = {n: x.repeat(padded_size, 0) for n, x in state.items()}
        for name, x in candidate_arrays.items():
            # "clip" repeats the last candidate as padding.
            batch[name] = x.take(rows, axis=0, mode="clip")
        for name in of_candidate:
            rest = inputs[name].shape[2:]
            first = (1, padded_size) if is_split else (padded_size, 1)
            batch[name] = batch[name].reshape(*first, *rest)
        (predicted,) = keras.tree.flatten(scorer.predict_on_batch(batch))
        scores.append(np.asarray(predicted).reshape(-1)[:size])
    return np.concatenate(scores)


class _Parts(NamedTuple):
    user: keras.Model
    candidates: keras.Model
    candidate_inputs: list[str]


_parts: WeakKeyDictionary[keras.Model, _Parts] = WeakKeyDictionary()


def split(model: keras.Model) -> _Parts | None:
    """The two parts of a model, which are kept, since they are compiled."""
    scores = find_layer(model, CandidateScores)
    is_whole = find_layer(model, UserState) is not None
    if is_whole and model not in _parts:
        user, candidates = split_model(model)
        for part in (user, candidates):
            part.run_eagerly = model.run_eagerly
            part.jit_compile = model.jit_compile
        _parts[model] = _Parts(user, candidates, scores.candidate_inputs)
    return _parts.get(model)


def _padded_size(model: keras.Model, size: int, batch_size: int) -> int:
    """Return the rows of a batch: few distinct sizes if each is compiled."""
    if size and model.jit_compile:
        return min(_power_of_two(size), batch_size)
    return size


def _power_of_two(n: int) -> int:
    """Return the smallest power of two that is at least n."""
    return 1 << max(n - 1, 0).bit_length()


def _pad_histories(
    model: keras.Model, arrays: dict[str, NDArray[Any]], of_candidate: set[str]
) -> dict[str, NDArray[Any]]:
    """Pad histories of any length, so that few lengths are compiled."""
    layers = model.layers
    pools_padding = any(
        getattr(layer, "output_type", None) in ("mean", "sum")
        for layer in layers
    )
    histories = [
        x.name
        for x in model.inputs
        if x.shape[1] is None and x.name not in of_candidate
    ]
    of_users = isinstance(model, ClickModel) and {*histories} <= arrays.keys()
    if pools_padding or not of_users or not model.jit_compile:
        return arrays
    limits = [getattr(layer, "max_steps", None) for layer in layers]
    most = min((n for n in limits if n), default=sys.maxsize)
    for name in histories:
        steps = arrays[name].shape[1]
        padded = min(_power_of_two(steps), most)
        widths = [(0, 0)] * arrays[name].ndim
        widths[1] = (0, max(padded - steps, 0))
        arrays[name] = np.pad(arrays[name], widths)
    return arrays


def _check_model(model: keras.Model) -> dict[str, Any]:
    """Return the inputs by name of a model with one score for each example."""
    expected = "a Keras model with one output (batch, 1)"
    check_instance("model", model, keras.Model, expected)
    if not getattr(model, "inputs", None):  # a subclassed or unbuilt model
        raise_invalid("model", expected, model)
    outputs = [tuple(symbol.shape) for symbol in model.outputs]
    if [shape[1:] for shape in outputs] != [(1,)] and not isinstance(
        model, ClickModel
    ):
        raise_invalid(
            "model", expected, Unquoted(f"outputs of shapes {outputs}")
        )
    return {symbol.name: symbol for symbol in model.inputs}
