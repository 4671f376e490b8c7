"""Match the layers and weights of a file with those of a model.

Keras numbers unnamed layers across a session: the first DNN of a model
may be called dnn_7. Such layers are matched by class and order; all others by
name.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from kseq.checks import raise_invalid
from kseq.convert.h5 import StoredLayer
from kseq.convert.placing import Pair

# DeepCTR's names for layers that are a class of their own only in kseq.
DEEPCTR_NAMES = {"auxiliary_loss": "dnn"}

LayerNames = Mapping[str, str | None]
Key = Callable[[Any], tuple[str, int]]


def unused_weights(layer: Any) -> Mapping[str, int]:
    """DeepCTR weights that a layer does not create, because nothing uses them.

    A layer lists them in its attribute `unused_deepctr_weights`: the weight's
    name, and its index in DeepCTR's `get_weights()`.
    """
    return getattr(layer, "unused_deepctr_weights", {})


def pair_weights(
    layers: Sequence[Any],
    stored: Sequence[StoredLayer],
    layer_names: LayerNames,
) -> list[list[Pair]]:
    """Pair weights with arrays, layer by layer.

    Args:
        layers: the model's layers.
        stored: the file's layers.
        layer_names: names in the file, by the model's names; None for a layer
            that keeps its weights.

    Raises:
        ValueError: `layer_names` contains an unknown or a repeated layer.
    """
    _check_names(layer_names, layers, stored)
    automatic = {_automatic_name(layer) for layer in layers}

    def model_key(layer: Any) -> tuple[str, int]:
        name = layer_names.get(layer.name)
        if name is not None:
            return f"renamed: {name}", 0
        stem, number = _split_number(layer.name)
        if stem != _automatic_name(layer):
            return layer.name, 0
        return DEEPCTR_NAMES.get(stem, stem), number

    def stored_key(layer: StoredLayer) -> tuple[str, int]:
        if layer.name in layer_names.values():
            return f"renamed: {layer.name}", 0
        stem, number = _split_number(layer.name)
        return (stem, number) if stem in automatic else (layer.name, 0)

    loaded = [
        layer for layer in layers if layer_names.get(layer.name, "") is not None
    ]
    return [
        pairs
        for layer, source in _match(loaded, stored, model_key, stored_key)
        if (pairs := _pair_layer(layer, source))
    ]


def _pair_layer(layer: Any, stored: StoredLayer | None) -> list[Pair]:
    weights = [] if layer is None else layer.weights
    if stored is None:
        return [Pair(weight, None) for weight in weights]
    unused = unused_weights(layer)
    arrays = {
        name: array
        for name, array in stored.weights.items()
        if _stored_weight_key(name)[0] not in unused
    }
    return [
        Pair(weight, None)
        if name is None
        else Pair(weight, arrays[name], stored.path(name))
        for weight, name in _match(
            weights, arrays, _weight_key, _stored_weight_key
        )
    ]


def _match(
    ours: Iterable[Any], theirs: Iterable[Any], our_key: Key, their_key: Key
) -> list[tuple[Any, Any]]:
    """Pair items of equal name, in the order of their numbers.

    Items of equal name and number keep their order. An item without a partner
    is paired with None.
    """
    groups: dict[str, tuple[list[Any], list[Any]]]
    groups = defaultdict(lambda: ([], []))
    for side, items, key in ((0, ours, our_key), (1, theirs, their_key)):
        for item in sorted(items, key=lambda item: key(item)[1]):
            groups[key(item)[0]][side].append(item)
    return [pair for sides in groups.values() for pair in zip_longest(*sides)]


def _split_number(name: str) -> tuple[str, int]:
    """Split dnn_3 into dnn and 3, dnn into dnn and 0."""
    match = re.fullmatch(r"(.+)_(\d+)", name)
    return (match[1], int(match[2])) if match else (name, 0)


def _automatic_name(layer: Any) -> str:
    """The name without its number if Keras chose it, from the class; or ""."""
    stem, _ = _split_number(layer.name)
    same = stem.replace("_", "") == type(layer).__name__.lower()
    return stem if same else ""


def _weight_key(weight: Any) -> tuple[str, int]:
    # A BiLSTM's layers, which its weights' names number, are matched in order.
    return re.sub(r"^(forward|backward)\d+_", "", weight.name), 0


def _stored_weight_key(path: str) -> tuple[str, int]:
    """The name in kseq of a stored weight such as dnn_3/dice/dice_alpha:0."""
    *above, name = path.removesuffix(":0").split("/")
    # TensorFlow 1's GRU cell consists of two layers.
    if above and above[-1] in ("gates", "candidate"):
        name = f"{above[-1]}_{name}"
    return name, 0


def _check_names(
    layer_names: LayerNames,
    layers: Sequence[Any],
    stored: Sequence[StoredLayer],
) -> None:
    sources = [name for name in layer_names.values() if name is not None]
    for owner, names, known in (
        ("model's", [*layer_names], [x.name for x in layers if x.weights]),
        ("file's", sources, [x.name for x in stored if x.weights]),
    ):
        if not {*names} <= {*known} or len({*names}) < len(names):
            raise_invalid(
                "layer_names",
                f"names of the {owner} layers with weights, each once, of "
                f"{known}",
                names,
            )
