"""A model as two: the user's part, and the candidates' part."""

from typing import Any, NamedTuple

import keras

from kseq.checks import check_instance, raise_invalid
from kseq.models.parts import CandidateScores, UserState
from kseq.types import Tensor

EXPECTED = "a model of kseq.models"


def ranking_model(model: keras.Model) -> keras.Model:
    """Return the model for any number of candidates, with the same weights.

    Args:
        model: a model of `kseq.models`.

    Returns:
        A model that shares the layers of `model`, and takes the candidate's
        features as `(batch, candidates)` and returns `(batch, candidates)`. If
        `model` has this number of candidates already, `model` itself.

    Raises:
        ValueError: `model` is not such a model.

    Example:

    >>> import numpy as np
    >>> from kseq.feature_column import SparseFeat, VarLenSparseFeat
    >>> from kseq.models import DIN, ranking_model
    >>> item = SparseFeat("item", 100, embedding_dim=8)
    >>> clicks = SparseFeat("hist_item", 100, 8, embedding_name="item")
    >>> model = DIN([item, VarLenSparseFeat(clicks, maxlen=4)], ["item"])
    >>> history = np.array([[7, 9, 0, 0], [5, 0, 0, 0]])
    >>> candidates = np.array([[3, 4, 5], [4, 5, 6]])
    >>> features = {"item": candidates, "hist_item": history}
    >>> tuple(ranking_model(model)(features).shape)
    (2, 3)
    """
    if find_layer(model, UserState) and model.output_shape[1] is None:
        return model
    return copy_model(model).model


def split_model(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Split a model into the user's part and the candidates' part.

    The user's part can be computed once and kept, for candidates that come
    later. Both models share the layers of `model`; both can be saved, exported
    and called with any number of candidates.

    Args:
        model: a model of `kseq.models`.

    Returns:
        `(user_model, candidate_model)`. The first returns a dict of tensors,
        the user's state, from the user's features. The second returns the
        scores `(batch, candidates)` from a dict of this state and the
        candidates' features.

    Raises:
        ValueError: `model` is not such a model.

    Example:

    >>> import numpy as np
    >>> from kseq.feature_column import SparseFeat, VarLenSparseFeat
    >>> from kseq.models import DIN, split_model
    >>> item = SparseFeat("item", 100, embedding_dim=8)
    >>> clicks = SparseFeat("hist_item", 100, 8, embedding_name="item")
    >>> model = DIN([item, VarLenSparseFeat(clicks, maxlen=4)], ["item"])
    >>> user_model, candidate_model = split_model(model)
    >>> history = np.array([[7, 9, 0, 0]])
    >>> state = user_model.predict({"hist_item": history}, verbose=0)
    >>> features = {**state, "item": np.array([[3, 4, 5]])}
    >>> candidate_model.predict(features, verbose=0).shape
    (1, 3)
    """
    copied = copy_model(model)
    inputs = copied.model.inputs
    users = [x for x in inputs if x.name not in copied.candidate_inputs]
    candidates = [x for x in inputs if x.name in copied.candidate_inputs]
    second = keras.Model(
        [*copied.state.values(), *candidates],
        copied.model.output,
        name=f"{model.name}_candidates",
    )
    names = [*copied.state, *(x.name for x in candidates)]
    return (
        keras.Model(users, copied.state, name=f"{model.name}_user"),
        share(second, dict(zip(names, second.inputs, strict=True))),
    )


def share(
    model: keras.Model, inputs: dict[str, Tensor], **options: Any
) -> keras.Model:
    """A model of the same layers, with new inputs like those by name."""
    return keras.models.clone_model(
        model,
        input_tensors=[
            keras.Input(batch_shape=x.shape, name=name, dtype=x.dtype)
            for name, x in inputs.items()
        ],
        clone_function=lambda layer: layer,
        **options,
    )


def vocabulary_sizes(model: keras.Model) -> dict[str, int]:
    """The sizes of the tables that inputs are looked up in, where known."""
    layer = find_layer(model, UserState)
    return {} if layer is None else layer.vocabulary_sizes


def find_layer(model: Any, kind: type[keras.Layer]) -> Any:
    """The only layer of a kind that a model has, or None."""
    check_instance("model", model, keras.Model, EXPECTED)
    found = [x for x in model.layers if isinstance(x, kind)]
    return found[0] if len(found) == 1 else None


class _Copy(NamedTuple):
    model: keras.Model
    state: dict[str, Tensor]
    candidate_inputs: list[str]
    read: dict[str, Any]  # the first argument of each layer


def copy_model(model: Any) -> _Copy:
    """The model for any number of candidates, of the same layers."""
    scores = find_layer(model, CandidateScores)
    if scores is None or find_layer(model, UserState) is None:
        raise_invalid("model", EXPECTED, model)
    inputs = {}
    for x in model.inputs:
        shape = [*x.shape]
        if x.name in scores.candidate_inputs:
            shape[1] = None
        inputs[x.name] = keras.KerasTensor(shape, dtype=x.dtype)
    read: dict[str, Any] = {}
    states = []

    def call(layer: keras.Layer, *args: Any, **kwargs: Any) -> Any:
        read.setdefault(layer.name, args[0])
        outputs = layer(*args, **kwargs)
        if isinstance(layer, UserState):
            states.append(outputs)
        return outputs

    # Of a model that is not compiled: Keras would compile the copy.
    plain = type(model)(model.inputs, model.output, name=model.name)
    copied = share(plain, inputs, call_function=call)
    return _Copy(copied, states[0], scores.candidate_inputs, read)
