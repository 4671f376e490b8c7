"""A layer that was drawn, with inputs, and how they can be changed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kseq.agreement import Case
from kseq.agreement.tables import DTYPES, KINDS

Arrays = Mapping[str, Any]


@dataclass(frozen=True)
class Drawn:
    """A layer, its inputs, and what they should give.

    Args:
        make: makes the layer.
        features: the inputs that are not lengths, in the layer's order.
        valid: for each sequence which steps count, bool (batch, steps). Its
            name is that of the first feature which has its steps.
        reference: `reference(features, valid, weights)` in float64.
        steps_of: the other features that have a sequence's steps.
        lengths: the lengths of each sequence, where lengths say which steps
            count and not a mask; and their places among the inputs.
        call: further arguments of the call.
        steps_at: the outputs' axis of steps and whose they are, or None.
        rows_apart: whether each row's output is its own affair.
        counts_padding: whether padded steps count in the output.
    """

    make: Callable[[], Any]
    features: Arrays
    valid: Arrays
    reference: Callable[[Arrays, Arrays, list[Any]], Any]
    steps_of: Mapping[str, str]
    lengths: Arrays | None
    places: Mapping[int, str]
    call: Mapping[str, Any]
    steps_at: tuple[int, str] | None = None
    rows_apart: bool = True
    counts_padding: bool = False

    @property
    def inputs(self) -> Any:
        inputs = list(self.features.values())
        if self.lengths is not None:
            for place, name in sorted(self.places.items()):
                inputs.insert(place, self.lengths[name])
        return inputs if len(inputs) > 1 else inputs[0]

    @property
    def kwargs(self) -> dict[str, Any]:
        if self.lengths is not None:
            return dict(self.call)
        masks = [self.valid.get(name) for name in self.features]
        return {**self.call, "mask": masks if len(masks) > 1 else masks[0]}

    def case(self) -> Case:
        """What `kseq.agreement` measures."""

        def reference(inputs: list[Any], weights: list[Any]) -> Any:
            arrays = list(inputs)
            if self.lengths is not None:
                for place in sorted(self.places, reverse=True):
                    del arrays[place]
            named = dict(zip(self.features, arrays, strict=True))
            return self.reference(named, self.valid, weights)

        return Case(
            "drawn",
            lambda: (self.make(), self.inputs, self.kwargs),
            reference,
            DTYPES,
            KINDS,
        )

    def sequence(self, feature: str) -> str | None:
        """The sequence whose steps a feature has."""
        return feature if feature in self.valid else self.steps_of.get(feature)

    def filled(self, filling: float) -> "Drawn":
        """Something else where no step counts."""

        def fill(name: str, x: Any) -> Any:
            sequence = self.sequence(name)
            if sequence is None:
                return x
            valid = self.valid[sequence]
            keep = valid.reshape(valid.shape + (1,) * (x.ndim - 2))
            return np.where(keep, x, filling)

        return replace(
            self, features={n: fill(n, x) for n, x in self.features.items()}
        )

    def rows(self, which: Any) -> "Drawn":
        """Some rows, or all of them in another order."""

        def take(arrays: Arrays | None) -> Any:
            return arrays and {n: x[which] for n, x in arrays.items()}

        return replace(
            self,
            features=take(self.features),
            valid=take(self.valid),
            lengths=take(self.lengths),
        )

    def longer(self, steps: int, filling: float) -> "Drawn":
        """So many more steps that do not count."""

        def pad(x: Any, value: Any) -> Any:
            widths = [(0, 0)] * x.ndim
            widths[1] = (0, steps)
            return np.pad(x, widths, constant_values=value)

        return replace(
            self,
            features={
                n: pad(x, filling) if self.sequence(n) else x
                for n, x in self.features.items()
            },
            valid={n: pad(x, False) for n, x in self.valid.items()},
            # What a length counted beyond the end would be there now.
            lengths=self.lengths
            and {
                n: np.minimum(x, self.valid[n].shape[1]).astype(x.dtype)
                for n, x in self.lengths.items()
            },
        )

    def by_masks(self) -> "Drawn":
        """The same steps, named by masks."""
        return replace(self, lengths=None)

    def cut(self, output: Any) -> Any:
        """An output of `longer` without the steps that it had more."""
        if self.steps_at is None:
            return output
        axis, name = self.steps_at
        return np.take(output, range(self.valid[name].shape[1]), axis=axis)
