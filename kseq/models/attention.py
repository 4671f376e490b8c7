from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kseq.checks import check_instance, check_positive_int, raise_invalid
from kseq.layers.sequence import AttentionSequencePoolingLayer
from kseq.types import Tensor


def attention_weights(
    model: keras.Model, features: Mapping[str, Any], *, batch_size: int = 512
) -> dict[str, NDArray[Any]]:
    """Compute the weights with which a trained model pools its histories.

    Each call builds a model of the same layers: pass all examples at once.

    Args:
        model: a functional Keras model with one or more
            `AttentionSequencePoolingLayer`, as all models of `kseq.models`.
        features: a dict of arrays by name, as `model.predict` takes.
        batch_size: the number of examples computed at a time.

    Returns:
        NumPy arrays `(batch, candidates, steps)` by the name of the layer, 0 in
        padded steps. They sum to 1 only if the layer normalizes them
        (`weight_normalization`).

    Raises:
        ValueError: `model` has no such layer, or calls one twice
            (`DIN(share_attention=True)`); `features` is no dict; or
            `batch_size` is not a positive integer.

    Example:

    >>> import numpy as np
    >>> from kseq.feature_column import SparseFeat, VarLenSparseFeat
    >>> from kseq.models import DIN, attention_weights
    >>> item = SparseFeat("item", 100, embedding_dim=8)
    >>> clicks = SparseFeat("hist_item", 100, 8, embedding_name="item")
    >>> model = DIN([item, VarLenSparseFeat(clicks, maxlen=4)], ["item"])
    >>> history = np.array([[7, 9, 0, 0], [5, 0, 0, 0]])
    >>> features = {"item": np.array([3, 4]), "hist_item": history}
    >>> weights = attention_weights(model, features)
    >>> weights["attention_sequence_pooling_layer"].shape
    (2, 1, 4)
    """
    check_instance("model", model, keras.Model, "a functional Keras model")
    expected = "a dict of features by name"
    check_instance("features", features, Mapping, expected)
    batch_size = check_positive_int("batch_size", batch_size)
    found: dict[str, Tensor] = {}

    def copy(layer: keras.Layer) -> keras.Layer:
        # Not shared: a layer must return the same number of outputs in every
        # call (docs/upstream/layer_with_more_outputs.py).
        if not isinstance(layer, AttentionSequencePoolingLayer):
            return layer
        return type(layer).from_config(layer.get_config())

    def call(layer: keras.Layer, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(layer, AttentionSequencePoolingLayer):
            return layer(*args, **kwargs)
        if layer.name in found:
            expected = "a model that calls each attention layer once"
            raise_invalid("model", expected, model)
        if layer.return_score:
            found[layer.name] = layer(*args, **kwargs)
            return found[layer.name]
        both = layer(*args, **kwargs | {"return_attention_scores": True})
        found[layer.name] = both[1]
        return both if kwargs.get("return_attention_scores") else both[0]

    # Of a model that is not compiled: Keras would compile the copy.
    again = keras.models.clone_model(
        type(model)(model.inputs, model.output),
        clone_function=copy,
        call_function=call,
    )
    if not found:
        expected = "a model with an AttentionSequencePoolingLayer"
        raise_invalid("model", expected, model)
    for name in found:
        again.get_layer(name).set_weights(model.get_layer(name).get_weights())
    # With the output, which all inputs are connected to.
    outputs = {**found, "": again.output}
    weights = type(again)(again.inputs, outputs).predict(
        dict(features), batch_size=batch_size, verbose=0
    )
    return {name: np.asarray(weights[name]) for name in found}
