"""Variants of example inputs: other batch sizes, other histories."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kseq.checks import Unquoted, raise_invalid

Arrays = list[np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Inputs:
    """The inputs of a model.

    Args:
        structure: the nested structure that the model is called with.
        specs: a `keras.InputSpec` for each input, in the model's order.
        candidates: the names of inputs whose axis 1 is not of steps, but of
            candidates.
    """

    structure: Any
    specs: list[Any]
    candidates: frozenset[str] = frozenset()

    @property
    def names(self) -> list[str]:
        return [spec.name for spec in self.specs]

    @property
    def any_steps(self) -> bool:
        return any(map(self.has_any_steps, self.specs))

    @property
    def known_steps(self) -> list[int]:
        """The sizes of axis 1 that could be numbers of steps."""
        sizes = {
            spec.shape[1]
            for spec in self.specs
            if len(spec.shape) > 1 and spec.name not in self.candidates
        }
        return sorted(sizes - {None, 1})

    def has_any_steps(self, spec: Any) -> bool:
        """Whether an input has a time axis of unknown length."""
        return _any_size(spec) and spec.name not in self.candidates

    def has_any_candidates(self, spec: Any) -> bool:
        """Whether an input has an axis of any number of candidates."""
        return _any_size(spec) and spec.name in self.candidates

    def signature(self, batch_size: int | None, steps: int | None) -> Any:
        """The input signature for Keras's exporters, with given sizes."""
        specs = []
        for spec in self.specs:
            shape = (batch_size, *spec.shape[1:])
            if self.has_any_steps(spec):
                shape = (batch_size, steps, *shape[2:])
            specs.append(
                keras.InputSpec(shape=shape, dtype=spec.dtype, name=spec.name)
            )
        return [self.pack(specs)]

    def symbolic_shapes(self, signature: Any, arrays: Arrays) -> Any:
        """A signature's shapes as text, with names for unknown sizes.

        Histories of one length in the example share a name, and candidates.
        """
        shapes = []
        for i, spec in enumerate(keras.tree.flatten(signature)):
            names = ["batch"]
            names += [f"size_{i}_{axis}" for axis in range(1, arrays[i].ndim)]
            if spec.name in self.candidates:
                names[1:2] = ["candidates"]
            elif _any_size(spec):
                names[1] = f"steps_{arrays[i].shape[1]}"
            sizes = zip(spec.shape, names, strict=True)
            shapes.append(f"({', '.join(str(n or s) for n, s in sizes)})")
        return [self.pack(shapes)]

    def pack(self, items: list[Any]) -> Any:
        return keras.tree.pack_sequence_as(self.structure, items)


def _any_size(spec: Any) -> bool:
    return len(spec.shape) > 1 and spec.shape[1] is None


def model_inputs(model: Any) -> Inputs:
    """The inputs of a functional or sequential model."""
    symbols = getattr(model, "inputs", None)
    if not isinstance(model, keras.Model) or not symbols:
        raise_invalid(
            "model",
            "a functional or sequential keras.Model, which knows its inputs",
            model,
        )
    structure = getattr(model, "input", None)  # a sequential model has none
    return Inputs(
        symbols[0] if structure is None else structure,
        [
            keras.InputSpec(shape=x.shape, dtype=x.dtype, name=x.name)
            for x in symbols
        ],
        # Layers of `kseq.models` have this attribute.
        frozenset(
            name
            for layer in model.layers
            for name in getattr(layer, "candidate_inputs", ())
        ),
    )


def to_arrays(inputs: Inputs, example_inputs: Any) -> Arrays:
    """The example inputs in the model's order, with the model's dtypes."""
    if isinstance(example_inputs, Mapping):
        missing = [n for n in inputs.names if n not in example_inputs]
        if missing:
            raise_invalid(
                "example_inputs",
                f"the inputs {inputs.names}",
                Unquoted(f"{sorted(example_inputs)}, without {missing}"),
            )
        values = [example_inputs[name] for name in inputs.names]
    else:
        values = keras.tree.flatten(example_inputs)
        if hasattr(example_inputs, "shape"):
            values = [example_inputs]
        if len(values) != len(inputs.specs):
            raise_invalid(
                "example_inputs",
                f"an array for each of the inputs {inputs.names}",
                Unquoted(f"{len(values)} arrays"),
            )
    arrays = list(map(_to_array, values, inputs.specs))
    rows = dict(zip(inputs.names, map(len, arrays), strict=True))
    if len({*rows.values()}) != 1 or 0 in rows.values():
        raise_invalid(
            "example_inputs",
            "as many rows of each input, and at least one",
            rows,
        )
    counts = count_candidates(inputs, arrays)
    if len({*counts}) > 1 or 0 in counts:
        raise_invalid(
            "example_inputs",
            "the same number of candidates, at least one, in each input",
            dict(zip(inputs.names, (x.shape for x in arrays), strict=True)),
        )
    return arrays


def _to_array(x: Any, spec: Any) -> Any:
    argument, shape = f"example_inputs, {spec.name}", spec.shape
    try:
        array = np.asarray(x).astype(spec.dtype)
    except (TypeError, ValueError):
        raise_invalid(argument, f"numbers, for {spec.dtype}", x)
    # `fit` and `predict` also accept (batch,) for (batch, 1).
    if array.ndim + 1 == len(shape) and shape[-1] == 1:
        array = array[..., None]
    if array.ndim != len(shape) or any(
        known not in (None, size)
        for known, size in zip(shape[1:], array.shape[1:], strict=True)
    ):
        raise_invalid(
            argument,
            f"an array of shape {shape}",
            Unquoted(f"shape {array.shape}"),
        )
    return array


def take_rows(arrays: Arrays, rows: range) -> Arrays:
    """Select rows, starting again at the first row after the last."""
    return [x[np.asarray(rows) % len(x)] for x in arrays]


def count_candidates(inputs: Inputs, arrays: Arrays) -> list[int]:
    """The candidates in each input that accepts any number of them."""
    pairs = zip(arrays, inputs.specs, strict=True)
    return [x.shape[1] for x, s in pairs if inputs.has_any_candidates(s)]


def take_candidates(inputs: Inputs, arrays: Arrays, count: int) -> Arrays:
    """Select the first candidates, starting again after the last."""
    pairs = zip(arrays, inputs.specs, strict=True)
    return [
        x[:, np.arange(count) % x.shape[1]]
        if inputs.has_any_candidates(spec)
        else x
        for x, spec in pairs
    ]


def history_lengths(inputs: Inputs, arrays: Arrays) -> list[int]:
    """The lengths of histories in the inputs that accept any length."""
    pairs = zip(arrays, inputs.specs, strict=True)
    return sorted({x.shape[1] for x, s in pairs if inputs.has_any_steps(s)})


def resize_histories(
    inputs: Inputs, arrays: Arrays, lengths: Mapping[int, int]
) -> Arrays:
    """Cut histories, or pad them with 0 at the end.

    Integer inputs whose values could be lengths, because none exceeds the
    longest history, are limited to the new length: otherwise they would mark
    steps that do not exist.

    Args:
        lengths: the new length for each old one.
    """
    longest = max(lengths, default=0)
    new_longest = max(lengths.values(), default=0)
    resized = []
    for x, spec in zip(arrays, inputs.specs, strict=True):
        if inputs.has_any_steps(spec):
            steps = lengths[x.shape[1]]
            x = x[:, :steps]
            padding = [(0, 0)] * x.ndim
            padding[1] = (0, steps - x.shape[1])
            x = np.pad(x, padding)
        elif (
            spec.name not in inputs.candidates
            and x.dtype.kind in "iu"
            and x.max() <= longest
        ):
            x = np.minimum(x, new_longest)
        resized.append(x)
    return resized


def zero_later_halves(
    inputs: Inputs, arrays: Arrays
) -> Iterator[tuple[list[str], Arrays]]:
    """Set the later half of histories to 0, for one history length at a time.

    Only shapes and dtypes tell what is a history: an input with any number of
    steps, or a known number of ids or vectors. (Floats of rank 2 are more often
    the features of a row.) Lengths are treated one by one because otherwise a
    short list of tags would hide that a history has no effect. Histories of one
    length are treated together because one of them may have no effect when the
    model predicts, such as DIEN's negatives.

    Yields:
        The names of the inputs that changed, and all arrays.
    """
    histories = {
        spec.name: x.shape[1]
        for x, spec in zip(arrays, inputs.specs, strict=True)
        if x.ndim > 1
        and x.shape[1] > 1
        and spec.name not in inputs.candidates
        and (inputs.has_any_steps(spec) or x.ndim > 2 or x.dtype.kind in "biu")
    }
    for steps in sorted({*histories.values()}):
        names = [name for name, n in histories.items() if n == steps]
        zeroed = [
            _zero_later_half(x) if name in names else x
            for x, name in zip(arrays, inputs.names, strict=True)
        ]
        yield names, zeroed


def _zero_later_half(x: Any) -> Any:
    x = x.copy()
    x[:, (x.shape[1] + 1) // 2 :] = 0
    return x
