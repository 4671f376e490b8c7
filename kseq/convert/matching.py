"""Which layer of a file is which of a model, and which weight which.

Keras counts the layers that nobody names through the whole session: the first
DNN of a model may be dnn_7. So among these the order tells, not the number.
Other names must be the same.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from kseq.checks import raise_invalid
from kseq.convert.h5 import StoredLayer
from kseq.convert.placing import Pair

# What is a layer of its own in kseq, and a DNN among others in DeepCTR.
DEEPCTR_NAMES = {"auxiliary_loss": "dnn"}

LayerNames = Mapping[str, str | None]


def pair_weights(
    layers: Sequence[Any],
    stored: Sequence[StoredLayer],
    layer_names: LayerNames,
) -> list[list[Pair]]:
    """The pairs of weights and arrays, layer by layer.

    Args:
        layers: a model's layers.
        stored: a file's.
        layer_names: what the file calls some of the model's layers; None for a
            layer that is left as it is.

    Raises:
        ValueError: `layer_names` names a layer that is not there, or one twice.
    """
    _check_names(layer_names, layers, stored)
    automatic = {_automatic_name(layer) for layer in layers}

    def own_key(layer: Any) -> tuple[str, int]:
        name = layer_names.get(layer.name)
        if name is not None:
            return f"said: {name}", 0
        stem, number = _counted(layer.name)
        if stem != _automatic_name(layer):
            return layer.name, 0
        return DEEPCTR_NAMES.get(stem, stem), number

    def stored_key(layer: StoredLayer) -> tuple[str, int]:
        if layer.name in layer_names.values():
            return f"said: {layer.name}", 0
        stem, number = _counted(layer.name)
        return (stem, number) if stem in automatic else (layer.name, 0)

    kept = [
        layer for layer in layers if layer_names.get(layer.name, "") is not None
    ]
    return [
        pairs
        for layer, source in _pair(kept, stored, own_key, stored_key)
        if (pairs := _pair_weights_of(layer, source))
    ]


def _pair_weights_of(layer: Any, stored: StoredLayer | None) -> list[Pair]:
    own = [] if layer is None else layer.weights
    if stored is None:
        return [Pair(weight, None) for weight in own]
    return [
        Pair(weight, None)
        if name is None
        else Pair(weight, stored.weights[name], stored.path(name))
        for weight, name in _pair(
            own, stored.weights, _own_weight, _stored_weight
        )
    ]


Key = Callable[[Any], tuple[str, int]]


def _pair(
    own: Iterable[Any], stored: Iterable[Any], own_key: Key, stored_key: Key
) -> list[tuple[Any, Any]]:
    """Partners of one name, by their numbers, by their places.

    None stands for a partner that is not there.
    """
    groups: dict[str, tuple[list[Any], list[Any]]]
    groups = defaultdict(lambda: ([], []))
    for side, items, key in ((0, own, own_key), (1, stored, stored_key)):
        # Sorting is stable: what has the same number stays in its order.
        for item in sorted(items, key=lambda item: key(item)[1]):
            groups[key(item)[0]][side].append(item)
    return [
        partners
        for mine, theirs in groups.values()
        for partners in zip_longest(mine, theirs)
    ]


def _counted(name: str) -> tuple[str, int]:
    """dnn_3 as dnn and 3, dnn as dnn and 0."""
    match = re.fullmatch(r"(.+)_(\d+)", name)
    return (match[1], int(match[2])) if match else (name, 0)


def _automatic_name(layer: Any) -> str:
    """The name without a number, if it is Keras's: the class's, in lower case.

    Otherwise "".
    """
    stem, _ = _counted(layer.name)
    same = stem.replace("_", "") == type(layer).__name__.lower()
    return stem if same else ""


def _own_weight(weight: Any) -> tuple[str, int]:
    """The name, without the number of a BiLSTM's layer: their order is one."""
    return re.sub(r"^(forward|backward)\d+_", "", weight.name), 0


def _stored_weight(path: str) -> tuple[str, int]:
    """What kseq calls a weight that a file calls dnn_3/dice/dice_alpha:0."""
    *above, name = path.removesuffix(":0").split("/")
    # The GRU cell of TensorFlow 1 has two layers of its own.
    if above and above[-1] in ("gates", "candidate"):
        name = f"{above[-1]}_{name}"
    return name, 0


def _check_names(
    layer_names: LayerNames,
    layers: Sequence[Any],
    stored: Sequence[StoredLayer],
) -> None:
    said = [name for name in layer_names.values() if name is not None]
    for kind, names, known in (
        ("model's", list(layer_names), [x.name for x in layers if x.weights]),
        ("file's", said, [x.name for x in stored if x.weights]),
    ):
        if not {*names} <= {*known} or len({*names}) < len(names):
            raise_invalid(
                "layer_names",
                f"names of the {kind} layers with weights, each once, of "
                f"{known}",
                names,
            )
