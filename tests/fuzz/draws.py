"""Draws layers of the catalog and examples of ops with random inputs.

Sizes come from short lists, because XLA compiles each shape.
"""

from dataclasses import replace

import keras
import numpy as np
from keras import ops

from kseq.ops import zero_padding
from kseq.ops.dtypes import HALF_DTYPES
from tests.layers.catalog import STEP_WEIGHTS
from tests.layers.trial import Trial
from tests.ops.examples import MASKS
from tests.reference.masks import mask_of

# OpenVINO ends the process in products of tensors without elements.
EMPTY = () if keras.backend.backend() == "openvino" else (0,)
BATCHES = (*EMPTY, 1, 3, 3)
DIMS, STEPS = (1, 3, 3), (1, 2, 5)
SEQUENCES = ("steps", "queries", "other")
# Denormal numbers of each dtype, and the exponent of the smallest.
TINY = {"float64": 1e-310, "float32": 1e-42, "bfloat16": 1e-39, "float16": 1e-6}
EXPONENTS = {"float64": 1074, "float32": 149, "bfloat16": 133, "float16": 24}
# Of ops: outputs are at most of the order of the features to this power.
DEGREES = {"din_hidden": 2, "attention_pool": 2} | dict.fromkeys(
    ("masked_softmax", "step_weights", "tanh", "l2_normalize",
     "layer_normalize"), 0
)  # fmt: skip


class Draws:
    """Random choices, which depend on a seed, and the trials of them.

    Args:
        dtypes: the dtypes to choose from.
        kinds: what features may be except of order 1: "tiny" (denormal),
            "huge" and "integers" (of layers).
    """

    def __init__(self, seed, dtypes, kinds):
        self.rng = np.random.default_rng(seed)
        self.dtype = self.one_of(dtypes)
        kind = self.one_of(("usual", "usual", *kinds))
        if kind == "huge" and self.dtype in HALF_DTYPES:
            kind = "usual"
        self.integers = kind == "integers"
        self.size = {"tiny": TINY[self.dtype], "huge": 1e10}.get(kind, 1.0)
        self.batch = self.one_of(BATCHES)
        self.sizes = {
            "batch": self.batch,
            "dim": self.one_of(DIMS),
            "1": 1,
        }
        for axis in ("candidates", "heads", "units"):
            self.sizes[axis] = self.one_of((1, 2))

    def one_of(self, values):
        return values[self.rng.integers(len(values))]

    def flag(self):
        return self.one_of((False, True))

    def numbers(self, *shape):
        x = self.rng.normal(size=shape) * self.size
        if self.size == TINY[self.dtype]:
            smallest = 2.0 ** -EXPONENTS[self.dtype]
            x = np.rint(x / smallest) * smallest
        return x

    def mask(self, steps):
        """Return the mask of rows with holes, full or empty."""
        rows = [
            self.rng.random(steps) < self.one_of((0.0, 0.5, 0.5, 1.0))
            for _ in range(self.batch)
        ]
        return np.array(rows, bool).reshape(self.batch, steps)

    def lengths(self, steps):
        """Return lengths of any dtype, also negative or too large."""
        dtype = self.one_of(("int8", "uint8", "int32", "int64", "float32"))
        least = 0 if dtype == "uint8" else -1
        lengths = self.rng.integers(least, steps + 2, self.batch).astype(dtype)
        return lengths[:, None] if self.flag() else lengths

    def layer(self, layer):
        """Return a trial of a layer of the catalog."""
        arguments = {n: self.one_of(v) for n, v in layer.arguments.items()}
        arguments |= layer.fixed
        omitted = layer.omitted(arguments)
        axes = {
            n: self.one_of(choices).split()
            for n, choices in layer.inputs.items()
            if n not in omitted
        }
        sizes, valid, lengths = self.sizes, {}, {}
        # Without a next step AuxiliaryLoss has products without elements.
        steps = STEPS[1:] if layer.measured and not EMPTY else STEPS
        by_lengths = bool(layer.lengths) and self.flag()
        for axis in SEQUENCES:
            if any(axis == first for first, *_ in axes.values()):
                sizes[axis] = self.one_of(steps)
                valid[axis] = self.mask(sizes[axis])
        if by_lengths:
            for name, axis in layer.lengths.items():
                lengths[name] = self.lengths(sizes[axis])
                valid[axis] = mask_of(valid[axis], lengths=lengths[name])
        if not layer.masks or not (layer.lengths or self.flag()):
            valid = {
                n: np.ones_like(v) for n, v in valid.items() if layer.is_list
            }
        arguments |= layer.settled(arguments, sizes)
        sizes["dim"] = layer.dim(arguments) or sizes["dim"]
        call = {}
        if layer.trains(layer.defaults | arguments):
            # Statistics of no steps cannot be compared; those of tiny or huge
            # features are rounding errors.
            some = self.batch > 0 and all(v.any() for v in valid.values())
            call["training"] = self.flag() and some and self.size == 1.0
        if layer.name == "AttentionSequencePoolingLayer" and self.flag():
            call["return_attention_scores"] = True
        if "dropout_rate" in arguments and call.get("training"):
            arguments["dropout_rate"] = 0.0
        features = {}
        for name, names in axes.items():
            x = self.numbers(self.batch, *(sizes[axis] for axis in names))
            if name in STEP_WEIGHTS:
                x = self.rng.random(x.shape)
            if self.integers:
                x = np.rint(3 * x).astype("int32")
            features[name] = x
        trial = layer.trial(
            arguments,
            features,
            valid,
            {n: " ".join(names) for n, names in axes.items()},
            measured=True,
            lengths=lengths if by_lengths else None,
            call=call,
            dtype=self.dtype,
            size=self.size,
        )
        # Transformer's sum and mean are of all steps, also of padded ones.
        of_all = arguments.get("output_type") in ("sum", "mean")
        return replace(trial, grows=trial.grows and not of_all)

    def op(self, example):
        """Return a trial of an example; masks are inputs like the others."""
        function = example.name.split("-")[0]
        degree = DEGREES.get(function, 1)
        if self.dtype in HALF_DTYPES and not example.half:
            self.dtype, self.size = "float32", 1.0
        sizes = self.sizes | {a: self.one_of(STEPS) for a in SEQUENCES}
        if function == "multi_head_attention":
            # Rounding decides the layer norm of two features.
            sizes["dim"] = 4
        for axis in ("steps", "dim"):
            sizes[axis] = max(sizes[axis], example.options.get("k", 0))
        valid = {"steps": self.mask(sizes["steps"])}
        features, shared, moved = {}, {}, {}

        def draw(name, axes, x):
            if isinstance(axes, tuple):
                for i, each in enumerate(axes):
                    draw(f"{name} {i}", each, x[i])
                return
            axes = axes.split()
            if "batch" not in axes:
                shared[name] = self.rng.normal(size=x.shape)
            elif name == "lengths":
                features[name] = self.lengths(sizes["steps"])
                valid["steps"] = mask_of(valid["steps"], lengths=features[name])
            elif name in MASKS:
                mask = self.mask(sizes["queries"])
                mask = mask if name == "query_valid" else valid["steps"]
                features[name] = mask.reshape(x.shape)
            else:
                usual = degree and name in (*STEP_WEIGHTS, "initial_state")
                normal = self.rng.normal(size=x.shape)
                x = normal if usual else self.numbers(*x.shape)
                # A trial has the steps on axis 1.
                if "steps" in axes:
                    moved[name] = axes.index("steps")
                    x = np.moveaxis(x, moved[name], 1)
                features[name] = x

        arrays = example.arrays(**sizes)
        for argument, axes in example.axes.items():
            draw(argument, axes, arrays[argument])
        names = [*features, *shared]

        def arguments(found, moveaxis):
            found = found | {
                n: moveaxis(found[n], 1, axis) for n, axis in moved.items()
            }
            return {
                n: tuple(found[f"{n} {i}"] for i in range(len(axes)))
                if isinstance(axes, tuple)
                else found[n]
                for n, axes in example.axes.items()
            }

        def call(inputs):
            found = dict(zip(names, inputs, strict=True))
            if function == "multi_head_attention":  # needs finite keys
                for n in ("keys", "values"):
                    found[n] = zero_padding(found[n], found["valid"])
            return example(**arguments(found, ops.moveaxis))

        numbers = arguments(features | shared, np.moveaxis)
        return Trial(
            lambda: call,
            features,
            valid if example.has_mask else {},
            lambda f, *_: example.reference(**arguments(f, np.moveaxis)),
            dict.fromkeys(moved, "steps") if example.has_mask else {},
            outputs=[None] * len(example.expected(numbers)),
            dtype=self.dtype,
            size=self.size,
            degree=degree,
            shared=shared,
            is_list=True,
            grows=False,
        )
