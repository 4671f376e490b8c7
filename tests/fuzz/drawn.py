"""A layer or an op that was drawn, with inputs, and how they can be changed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from kseq.agreement import Case
from kseq.agreement.tables import DTYPES, KINDS

Arrays = Mapping[str, Any]


@dataclass(frozen=True)
class Drawn:
    """A layer, its inputs, and what they should give.

    Args:
        make: makes the layer, or a function of inputs and `mask`.
        features: the inputs that are not lengths, in the layer's order.
        valid: for each sequence which entries count, bool (batch, steps), of
            some ops of another rank. Its name is that of the first feature
            which has its steps.
        reference: `reference(features, valid, weights)` in float64.
        dtype: the policy to compute under.
        size: of what order the features are.
        degree: of what power of it the outputs are, at most.
        shared: further inputs, which all rows have in common.
        steps_of: the other features that have a sequence's steps.
        lengths: the lengths of each sequence, where lengths say which steps
            count and not a mask; and their places among the inputs.
        call: further arguments of the call.
        steps_at: each output's axis of steps and whose they are, or None.
        masked: whether the layer is given masks.
        rows_apart: whether each row's output is its own affair.
        grows: whether there can be more padding.
        any_steps: whether the layer can do with an unknown number of steps.
        counts_padding: whether padded steps count in the output.
        own_padding: whether a padded step stays in the output of that step.
    """

    make: Callable[[], Any]
    features: Arrays
    valid: Arrays
    reference: Callable[[Arrays, Arrays, list[Any]], Any]
    dtype: str
    size: float = 1.0
    degree: int = 1
    shared: Arrays = field(default_factory=dict)
    steps_of: Mapping[str, str] = field(default_factory=dict)
    lengths: Arrays | None = None
    places: Mapping[int, str] = field(default_factory=dict)
    call: Mapping[str, Any] = field(default_factory=dict)
    steps_at: Sequence[tuple[int, str] | None] = (None,)
    masked: bool = True
    rows_apart: bool = True
    grows: bool = True
    any_steps: bool = True
    counts_padding: bool = False
    own_padding: bool = False

    @property
    def inputs(self) -> Any:
        inputs = list(self.features.values())
        if self.lengths is not None:
            for place, name in sorted(self.places.items()):
                inputs.insert(place, self.lengths[name])
        inputs += self.shared.values()
        return inputs if len(inputs) > 1 else inputs[0]

    @property
    def kwargs(self) -> dict[str, Any]:
        if self.lengths is not None or not self.masked:
            return dict(self.call)
        return {**self.call, "mask": self.masks(self.valid)}

    def masks(self, valid: Mapping[str, Any]) -> Any:
        """As the layer's `mask=` takes them."""
        masks = [valid.get(name) for name in self.features]
        return masks if len(masks) > 1 else masks[0]

    def case(self) -> Case:
        """What `kseq.agreement` measures."""

        def reference(inputs: list[Any], weights: list[Any]) -> Any:
            arrays = list(inputs)
            if self.lengths is not None:
                for place in sorted(self.places, reverse=True):
                    del arrays[place]
            named = dict(
                zip([*self.features, *self.shared], arrays, strict=True)
            )
            # Complex ones stay.
            named = {
                n: x.astype("float64") if x.dtype.kind == "i" else x
                for n, x in named.items()
            }
            return self.reference(named, self.valid, weights)

        return Case(
            "drawn",
            lambda: (self.make(), self.inputs, self.kwargs),
            reference,
            DTYPES,
            KINDS,
        )

    @property
    def unit(self) -> float:
        """What numbers the outputs are sums of."""
        return max(1.0, self.size) ** self.degree

    @property
    def batch(self) -> int:
        return len(next(iter(self.features.values())))

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
            keep = valid.reshape(valid.shape + (1,) * (x.ndim - valid.ndim))
            return np.where(keep, x, _held(filling, x))

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
                n: pad(x, _held(filling, x)) if self.sequence(n) else x
                for n, x in self.features.items()
            },
            valid={n: pad(x, False) for n, x in self.valid.items()},
            # What a length counted beyond the end would be there now.
            lengths=self.lengths
            and {
                n: np.minimum(x.astype("int64"), self.valid[n].shape[1]).astype(
                    x.dtype
                )
                for n, x in self.lengths.items()
            },
        )

    def predicting(self) -> "Drawn":
        """As a model is given it: without statistics of a batch.

        And without int64, of which JAX warns that it has none.
        """
        call = {n: v for n, v in self.call.items() if n != "training"}
        lengths = self.lengths and {
            n: x.astype("int32") if x.dtype == "int64" else x
            for n, x in self.lengths.items()
        }
        return replace(self, call=call, lengths=lengths)

    def by_masks(self) -> "Drawn":
        """The same steps, named by masks."""
        return replace(self, lengths=None)

    def shown(self, outputs: list[Any]) -> list[Any]:
        """The outputs of `filled` or `longer`, without padding of their own."""
        return [
            self._shown(output, at)
            for output, at in zip(outputs, self.steps_at, strict=True)
        ]

    def _shown(self, output: Any, at: tuple[int, str] | None) -> Any:
        if at is None:
            return output
        axis, name = at
        valid = self.valid[name]
        output = np.take(output, range(valid.shape[1]), axis=axis)
        if not self.own_padding:
            return output
        others = [a for a in range(output.ndim) if a not in (0, axis)]
        return np.where(np.expand_dims(valid, others), output, 0.0)


def _held(filling: float, x: Any) -> Any:
    """A filling, or what integers have of it."""
    return 1000 if x.dtype.kind == "i" else filling
