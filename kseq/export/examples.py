"""The example inputs at other batch sizes, and with other histories."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kseq.checks import Unquoted, raise_invalid
from kseq.export.runtimes import Arrays
from kseq.types import Shape


@dataclass(frozen=True)
class Inputs:
    """A model's inputs.

    Args:
        structure: as the model is called with them.
        names: in the model's order, as all that follows.
        shapes: None where a size is not known.
        dtypes: their names.
    """

    structure: Any
    names: tuple[str, ...]
    shapes: tuple[Shape, ...]
    dtypes: tuple[str, ...]

    @property
    def any_steps(self) -> bool:
        return any(has_steps(shape) for shape in self.shapes)

    def signature(self, batch_size: int | None, steps: int | None) -> Any:
        """What Keras's exporters are told, with sizes put in."""
        specs = [
            keras.InputSpec(
                shape=(batch_size, *_with_steps(shape, steps)[1:]),
                dtype=dtype,
                name=name,
            )
            for name, shape, dtype in zip(
                self.names, self.shapes, self.dtypes, strict=True
            )
        ]
        return [self.packed(specs)]

    def packed(self, items: Any) -> Any:
        return keras.tree.pack_sequence_as(self.structure, list(items))


def has_steps(shape: Shape) -> bool:
    """Whether an input has a time axis, and one of any length."""
    return len(shape) > 1 and shape[1] is None


def _with_steps(shape: Shape, steps: int | None) -> Shape:
    return (shape[0], steps, *shape[2:]) if has_steps(shape) else shape


def inputs_of(model: Any) -> Inputs:
    """The inputs of a functional or sequential model."""
    symbols = getattr(model, "inputs", None)
    if not isinstance(model, keras.Model) or not symbols:
        raise_invalid(
            "model",
            "a functional or sequential keras.Model, which knows its inputs",
            model,
        )
    structure = getattr(model, "input", None)  # a sequential one has none
    return Inputs(
        symbols[0] if structure is None else structure,
        tuple(symbol.name for symbol in symbols),
        tuple(tuple(symbol.shape) for symbol in symbols),
        tuple(keras.backend.standardize_dtype(s.dtype) for s in symbols),
    )


def read(inputs: Inputs, example_inputs: Any) -> Arrays:
    """The example inputs in the model's order, in its dtypes."""
    if isinstance(example_inputs, Mapping):
        missing = [n for n in inputs.names if n not in example_inputs]
        if missing:
            raise_invalid(
                "example_inputs",
                f"the inputs {[*inputs.names]}",
                Unquoted(f"{sorted(example_inputs)}, without {missing}"),
            )
        given = [example_inputs[name] for name in inputs.names]
    else:
        given = keras.tree.flatten(example_inputs)
        if hasattr(example_inputs, "shape"):
            given = [example_inputs]
        if len(given) != len(inputs.names):
            raise_invalid(
                "example_inputs",
                f"an array for each of the inputs {[*inputs.names]}",
                Unquoted(f"{len(given)} arrays"),
            )
    arrays = [
        _array(name, x, shape, dtype)
        for name, x, shape, dtype in zip(
            inputs.names, given, inputs.shapes, inputs.dtypes, strict=True
        )
    ]
    rows = {len(x) for x in arrays}
    if len(rows) != 1 or 0 in rows:
        raise_invalid(
            "example_inputs",
            "as many rows of each input, and at least one",
            {n: len(x) for n, x in zip(inputs.names, arrays, strict=True)},
        )
    return arrays


def _array(name: str, x: Any, shape: Shape, dtype: str) -> Any:
    try:
        array = np.asarray(x)
        array = array.astype(dtype)
    except (TypeError, ValueError):
        raise_invalid(f"example_inputs, {name}", f"numbers, for {dtype}", x)
    # As `fit` and `predict` take it: (batch,) for (batch, 1).
    if array.ndim + 1 == len(shape) and shape[-1] == 1:
        array = array[..., None]
    fits = array.ndim == len(shape) and all(
        known is None or known == size
        for known, size in zip(shape[1:], array.shape[1:], strict=True)
    )
    if not fits:
        raise_invalid(
            f"example_inputs, {name}",
            f"an array of shape {shape}",
            Unquoted(f"shape {array.shape}"),
        )
    return array


def with_rows(arrays: Arrays, rows: range) -> Arrays:
    """These rows; behind the last comes the first."""
    return [x[np.asarray(rows) % len(x)] for x in arrays]


def with_lengths(
    inputs: Inputs, arrays: Arrays, lengths: Mapping[int, int]
) -> Arrays:
    """Histories cut, or padded with 0 behind: from each length to another.

    An integer of an example that might be a length, since none is more than the
    longest history, is not left beyond the histories' new end: it would say
    that there are steps that are not.
    """
    longest = max(lengths, default=0)
    most = max(lengths.values(), default=0)
    changed = []
    for x, shape in zip(arrays, inputs.shapes, strict=True):
        if has_steps(shape):
            steps = lengths[x.shape[1]]
            x = x[:, :steps]
            padding = [(0, 0)] * x.ndim
            padding[1] = (0, steps - x.shape[1])
            x = np.pad(x, padding)
        elif x.dtype.kind in "iu" and x.max() <= longest:
            x = np.minimum(x, most)
        changed.append(x)
    return changed


def lengths_in(inputs: Inputs, arrays: Arrays) -> dict[str, int]:
    """The length of histories in each input that takes any."""
    return {
        name: x.shape[1]
        for name, x, shape in zip(
            inputs.names, arrays, inputs.shapes, strict=True
        )
        if has_steps(shape)
    }


def without_later_halves(
    inputs: Inputs, arrays: Arrays
) -> Iterator[tuple[tuple[str, ...], Arrays]]:
    """The arrays with 0 in the later half of the histories of one length.

    Nothing is known of an input but its shape and dtype. So what is taken for a
    history has any number of steps, or a known one of ids or vectors; numbers
    of rank 2 are more often a row's features. One length after another: else a
    short list of tags would speak for a history. Not each by itself: DIEN's
    negatives matter in training alone.
    """
    steps = [
        x.shape[1] if _is_history(x, shape) else 0
        for x, shape in zip(arrays, inputs.shapes, strict=True)
    ]
    for n in sorted({*steps} - {0}):
        names = [
            name for name, m in zip(inputs.names, steps, strict=True) if m == n
        ]
        yield (
            tuple(names),
            [
                _without_later_half(x) if m == n else x
                for x, m in zip(arrays, steps, strict=True)
            ],
        )


def _is_history(x: Any, shape: Shape) -> bool:
    likely = has_steps(shape) or x.ndim > 2 or x.dtype.kind in "biu"
    return likely and x.ndim > 1 and x.shape[1] > 1


def _without_later_half(x: Any) -> Any:
    x = x.copy()
    x[:, (x.shape[1] + 1) // 2 :] = 0
    return x
