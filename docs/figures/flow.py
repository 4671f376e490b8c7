"""A layer's data flow as boxes that compute.

What a figure says is run: each box makes its value from those of other boxes,
its shape is the one that is written, every weight of the layer is in some box,
and what comes out is what the layer itself gives.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from keras import ops

from kseq.agreement.numbers import seed_weights


@dataclass(frozen=True)
class Box:
    """One box.

    Args:
        name: what other boxes call it.
        at: column and row; columns may be fractions.
        text: what it does; lines, with mathtext.
        shape: the value's dimensions, such as "B K T" or "E+U 4U".
        of: the boxes that it is made of; the arrows, but for those after "~".
            "layer" is the layer itself.
        compute: makes the value of those, and of the weights.
        weights: the layer's weights that it takes, path and dimensions.
        value: of an input; numbers are drawn where there is none.
        lanes: arrows that leave and enter at the side: the column in which
            they run.
    """

    name: str
    at: tuple[float, float]
    text: str
    shape: str
    of: str = ""
    compute: Callable[..., Any] | None = None
    weights: Mapping[str, str] = field(default_factory=dict)
    value: Any = None
    lanes: Mapping[str, float] = field(default_factory=dict)

    @property
    def sources(self) -> list[str]:
        """All that the value is made of."""
        return self.of.replace("~", "").split()

    @property
    def arrows(self) -> list[str]:
        return [n for n in self.of.split() if not n.startswith("~")]


@dataclass(frozen=True)
class Flow:
    """A layer's boxes.

    Args:
        make: makes the layer.
        dims: the size of each dimension, each another.
        boxes: inputs first, and each after what it is made of.
        inputs: the boxes that the layer is called with.
        gives: for each box that is an output: what the layer gives for it,
            made of the layer and all values; None: the last box is the output.
    """

    make: Callable[[], Any]
    dims: Mapping[str, int]
    boxes: tuple[Box, ...]
    inputs: str
    gives: Mapping[str, Callable[[Any, Mapping[str, Any]], Any]] | None = None

    def outputs(self) -> Mapping[str, Callable[..., Any]]:
        return self.gives or {self.boxes[-1].name: self.call}

    def call(self, layer: Any, values: Mapping[str, Any]) -> Any:
        inputs = [values[name] for name in self.inputs.split()]
        return layer(inputs if len(inputs) > 1 else inputs[0])


@dataclass(frozen=True)
class Label:
    """What is written of a shape: its name, dimensions and sizes."""

    name: str
    dims: str
    sizes: str

    def __str__(self) -> str:
        return " ".join(filter(None, [self.name, self.dims, "=", self.sizes]))


Labels = dict[str, tuple[Label, list[Label]]]


def run(flow: Flow) -> Labels:
    """The labels of each box: its value's, and its weights'.

    Raises:
        ValueError: what is drawn is not what the layer does.
    """
    layer = flow.make()
    given = {
        box.name: _input(box, flow.dims)
        for box in flow.boxes
        if box.compute is None
    }
    flow.call(layer, given)  # builds it
    seed_weights(layer)
    weights = {w.path.partition("/")[2]: w for w in layer.weights}
    values: dict[str, Any] = {"layer": layer}
    values |= {name: ops.convert_to_tensor(x) for name, x in given.items()}
    labels: Labels = {}
    for box in flow.boxes:
        taken = {path: weights[path] for path in box.weights}
        if box.compute is not None:
            of = [values[name] for name in box.sources]
            # Copies: the layer's own may change when it is called.
            arrays = [ops.convert_to_numpy(w) for w in taken.values()]
            tensors = [ops.convert_to_tensor(w) for w in arrays]
            values[box.name] = box.compute(*of, *tensors)
        labels[box.name] = (
            _label("", box.shape, values[box.name], flow.dims),
            [
                _label(path.rpartition("/")[2], dims, taken[path], flow.dims)
                for path, dims in box.weights.items()
            ],
        )
    _check_weights(flow, weights)
    for name, give in flow.outputs().items():
        _check_close(name, values[name], give(layer, values))
    return labels


def _input(box: Box, dims: Mapping[str, int]) -> Any:
    if box.value is not None:
        return np.asarray(box.value)
    shape = tuple(_sizes(box.shape, dims))
    seed = [ord(letter) for letter in box.name]
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def _sizes(shape: str, dims: Mapping[str, int]) -> Iterator[int]:
    """The sizes of "4E E+U 1"."""
    for term in shape.split():
        total = 0
        for sign, factor, dim in re.findall(r"([+-]?)(\d*)([A-Za-z]?)", term):
            if factor or dim:
                size = int(factor or 1) * (dims[dim] if dim else 1)
                total += -size if sign == "-" else size
        yield total


def _label(name: str, dims: str, value: Any, sizes: Mapping[str, int]) -> Label:
    found = tuple(value.shape)
    if found != tuple(_sizes(dims, sizes)):
        raise ValueError(f"{name or 'a value'}: {dims} is not {found}")
    return Label(name, _tuple(dims.split()), _tuple(found))


def _tuple(parts: Any) -> str:
    parts = [str(p).replace("-", "−") for p in parts]
    return f"({', '.join(parts)}{',' * (len(parts) == 1)})"


def _check_weights(flow: Flow, weights: Mapping[str, Any]) -> None:
    drawn = {path for box in flow.boxes for path in box.weights}
    # A seed is no weight; Keras keeps that of a dropout beside them.
    if drawn != {path for path in weights if "seed" not in path}:
        raise ValueError(f"drawn {sorted(drawn)}, there {sorted(weights)}")


def _check_close(name: str, drawn: Any, given: Any) -> None:
    drawn, given = ops.convert_to_numpy(drawn), ops.convert_to_numpy(given)
    if drawn.shape != given.shape or not np.allclose(
        drawn, given, rtol=0, atol=1e-5 * max(1.0, np.abs(given).max())
    ):
        raise ValueError(
            f"{name}: {drawn} is not what the layer gives, {given}"
        )
