"""A layer or function with its inputs, its float64 reference, and changes.

The catalog makes trials of fixed numbers, and `tests/fuzz` of random ones.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
from keras import ops

from kseq.agreement import Computation
from kseq.agreement.numbers import seed_weights
from tests.support import to_numpy

Arrays = Mapping[str, Any]


@dataclass(frozen=True)
class Trial:
    """A layer, its inputs and what it should compute.

    Args:
        make: creates the layer, or a function of inputs and `mask`.
        features: the inputs without lengths, by name.
        valid: the valid entries of each sequence, bool (batch, steps).
        reference: `reference(features, valid, weights)` in float64.
        sequences: the sequence that a feature's axis 1 belongs to.
        masks: the features whose masks the layer takes.
        lengths: the lengths by argument, or None where masks are given.
        order: the names of DeepCTR's list.
        counted: the sequence of each lengths argument.
        call: further arguments of the call.
        outputs: each output's (axis of steps, sequence), or None.
        dtype: the policy to compute under.
        is_list: whether the layer takes a list even of one input.
        independent_rows: whether no row depends on another.
        grows: whether padding can be added.
        any_steps: whether the number of steps may be unknown.
        inert: whether padded values have no effect.
        own_padding: whether padding shows in the output of its own step.
    """

    make: Callable[..., Any]
    features: Arrays
    valid: Arrays
    reference: Callable[[Arrays, Arrays, list[Any]], Any]
    sequences: Mapping[str, str] = field(default_factory=dict)
    masks: Sequence[str] = ()
    lengths: Arrays | None = None
    order: Sequence[str] = ()
    counted: Mapping[str, str] = field(default_factory=dict)
    call: Mapping[str, Any] = field(default_factory=dict)
    outputs: Sequence[tuple[int, str] | None] = (None,)
    dtype: str = "float32"
    is_list: bool = False
    independent_rows: bool = True
    grows: bool = True
    any_steps: bool = True
    inert: bool = True
    own_padding: bool = False

    # What the layer is called with

    @property
    def inputs(self):
        """The inputs as DeepCTR's list; a single one as itself."""
        given = {**self.features, **(self.lengths or {})}
        names = self.order or tuple(given)
        inputs = [given[n] for n in names if n in given]
        return inputs if len(inputs) > 1 or self.is_list else inputs[0]

    @property
    def lengths_in_list(self):
        return self.lengths is not None and {*self.lengths} <= {*self.order}

    @property
    def kwargs(self):
        """The arguments beside the list."""
        if self.lengths_in_list or not self.masks:
            return dict(self.call)
        return {**self.call, "mask": self.mask()}

    def mask(self, arrays=None):
        """The masks as `mask=` takes them."""
        masks = self.feature_masks(arrays)
        masks = [masks.get(name) for name in self.features]
        return masks if len(masks) > 1 else masks[0]

    def feature_masks(self, arrays=None):
        valid = self.valid if arrays is None else arrays
        return {n: valid[self.sequences[n]] for n in self.masks}

    def named(self, masks=False, lengths=True):
        """The arguments of the named form."""
        first = next(iter(self.features))
        given = dict(self.features) | dict(self.call)
        if lengths:
            given |= self.lengths or {}
        if masks:
            for name, mask in self.feature_masks().items():
                given["mask" if name == first else f"{name}_mask"] = mask
        return given

    # Other trials

    def by_masks(self):
        """The same valid steps, by masks."""
        return replace(self, lengths=None)

    def with_valid(self, valid):
        return replace(self, valid=valid)

    def filled(self, filling, names=None):
        """With other values in padded steps of all or of some features.

        Several values are taken in turn.
        """

        def fill(name, x):
            if name not in (self.sequences if names is None else names):
                return x
            valid = self.valid[self.sequences[name]]
            keep = valid.reshape(valid.shape + (1,) * (x.ndim - valid.ndim))
            values = np.resize(fitting(filling, x), x.shape)
            return np.where(keep, x, values).astype(x.dtype)

        features = {n: fill(n, x) for n, x in self.features.items()}
        return replace(self, features=features)

    def rows(self, which):
        """Some rows, or all in another order."""

        def take(arrays):
            return arrays and {n: x[which] for n, x in arrays.items()}

        names = ("features", "valid", "lengths")
        return replace(self, **{n: take(getattr(self, n)) for n in names})

    def longer(self, steps, filling=0.0):
        """With more padded steps."""

        def pad(x, value):
            widths = [(0, 0)] * x.ndim
            widths[1] = (0, steps)
            return np.pad(x, widths, constant_values=value)

        # Lengths beyond the old end would include the new steps.
        ends = {n: x.shape[1] for n, x in self.valid.items()}
        lengths = self.lengths and {
            n: np.minimum(x.astype("int64"), ends[self.counted[n]]).astype(
                x.dtype
            )
            for n, x in self.lengths.items()
        }
        features = {
            n: pad(x, fitting(filling, x)) if n in self.sequences else x
            for n, x in self.features.items()
        }
        valid = {n: pad(x, False) for n, x in self.valid.items()}
        return replace(self, features=features, valid=valid, lengths=lengths)

    def cut(self, steps):
        """With the first steps only."""
        trial = self.limited(steps)
        features = {
            n: x[:, :steps] if n in self.sequences else x
            for n, x in self.features.items()
        }
        valid = {n: x[:, :steps] for n, x in trial.valid.items()}
        return replace(trial, features=features, valid=valid)

    def limited(self, steps):
        """With the first steps as the only valid ones."""
        lengths = self.lengths and {
            n: np.minimum(x, steps) for n, x in self.lengths.items()
        }
        valid = {
            n: x & (np.arange(x.shape[1]) < steps)
            for n, x in self.valid.items()
        }
        return replace(self, valid=valid, lengths=lengths)

    # Computations

    def computation(self):
        """The trial for `kseq.agreement`."""

        def reference(inputs, weights, **kwargs):
            given = [*self.features, *(self.lengths or {})]
            names = [n for n in self.order or given if n in given]
            arrays = keras.tree.flatten(inputs)
            named = {  # complex arrays remain
                n: x.astype("float64") if x.dtype.kind == "i" else x
                for n, x in zip(names, arrays, strict=True)
            }
            return self.reference(named, self.valid, weights)

        return Computation(self.make(), (self.inputs,), self.kwargs, reference)

    def built(self, seeded=True, **options):
        """The layer, built, with the same weights on every backend."""
        layer = self.make(**options)
        shapes = [x.shape for x in self.features.values()]
        if self.is_list:
            layer.build(shapes)
        else:
            named = inspect.signature(layer.build).parameters
            layer.build(*shapes[: max(len(named), 1)])
        if seeded:
            seed_weights(layer)
        return layer

    def run(self, layer, **kwargs):
        """The outputs for the list and the masks."""
        return arrays_of(layer(self.inputs, **self.kwargs | kwargs))

    def shown(self, outputs):
        """Outputs without padded steps that were added, or their own."""

        def show(output, at):
            if at is None:
                return output
            axis, name = at
            valid = self.valid[name]
            output = np.take(output, range(valid.shape[1]), axis=axis)
            if not self.own_padding:
                return output
            others = [a for a in range(output.ndim) if a not in (0, axis)]
            return np.where(np.expand_dims(valid, others), output, 0.0)

        return [show(*x) for x in zip(outputs, self.outputs, strict=True)]

    # Functional models

    def model(self, make=None, name="trial", steps=None, named=False):
        """A functional model; its inputs are those of `model_inputs`.

        Args:
            make: creates the layer.
            name: the start of the inputs' names.
            steps: the steps of all sequences; "own" for those of the arrays.
            named: whether the layer is called with named tensors.
        """
        padded = {*self.sequences, *(f"{n}_valid" for n in self.valid)}

        def symbol(n, x):
            shape = list(x.shape[1:])
            if n in padded and steps != "own":
                shape[0] = steps
            dtype = self.dtype if x.dtype.kind == "f" else x.dtype.name
            return keras.Input(shape, dtype=dtype, name=f"{name}_{n}")

        symbols = {n: symbol(n, x) for n, x in self.model_inputs().items()}
        layer = (make or self.make)()
        given = replace(
            self,
            features={n: symbols[n] for n in self.features},
            lengths={n: symbols[n] for n in self.lengths}
            if self.lengths_in_list
            else None,
            valid={n: symbols.get(f"{n}_valid") for n in self.valid},
        )
        if named and not self.is_list:
            is_masked = not self.lengths_in_list
            outputs = layer(**given.named(is_masked, not is_masked))
        else:
            outputs = layer(given.inputs, **given.kwargs)
        return keras.Model([*symbols.values()], keras.tree.flatten(outputs))

    def model_inputs(self):
        """The arrays of the model's inputs, by name."""
        given = {
            n: x.astype(self.dtype) if x.dtype.kind == "f" else x
            for n, x in self.features.items()
        }
        if self.lengths_in_list:
            return given | dict(self.lengths)
        used = {self.sequences[n] for n in self.masks}
        return given | {f"{n}_valid": self.valid[n] for n in sorted(used)}

    @property
    def batch(self):
        return len(next(iter(self.features.values())))


def predict(model, inputs):
    """The outputs of `model.predict`."""
    if keras.backend.backend() == "openvino":
        # Its `predict` may compute by bfloat16 instructions
        # (docs/upstream/openvino_predict_rounds.py).
        return model(keras.tree.map_structure(ops.convert_to_tensor, inputs))
    return model.predict(inputs, verbose=0)


def arrays_of(outputs):
    return [to_numpy(x) for x in keras.tree.flatten(outputs)]


def fitting(filling, x):
    """A filling of floats, or one for integers."""
    return 1000 if x.dtype.kind == "i" else filling
