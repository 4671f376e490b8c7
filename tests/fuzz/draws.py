"""Layers of the catalog with random arguments, sizes, masks and numbers.

Sizes come from short lists, because XLA compiles each shape.
"""

from dataclasses import replace

import keras
import numpy as np

from tests.layers.catalog import LAYERS, STEP_WEIGHTS
from tests.reference.masks import mask_of

# OpenVINO ends the process in products of tensors without elements.
EMPTY = () if keras.backend.backend() == "openvino" else (0,)
BATCHES = (*EMPTY, 1, 3, 3)
DIMS, STEPS = (1, 3, 3), (1, 2, 5)
# Denormal numbers of each dtype, and the exponent of the smallest.
TINY = {"float64": 1e-310, "float32": 1e-42, "bfloat16": 1e-39, "float16": 1e-6}
EXPONENTS = {"float64": 1074, "float32": 149, "bfloat16": 133, "float16": 24}


class Draws:
    """Random choices, which depend on a seed.

    Args:
        dtypes: the dtypes to choose from.
        kinds: what features may be except of order 1: "tiny" (denormal) and
            "integers".
    """

    def __init__(self, seed, dtypes, kinds):
        self.rng = np.random.default_rng(seed)
        self.dtype = self.one_of(dtypes)
        self.kind = self.one_of(("usual", "usual", *kinds))
        self.batch = self.one_of(BATCHES)

    def one_of(self, values):
        return values[self.rng.integers(len(values))]

    def flag(self):
        return self.one_of((False, True))

    def numbers(self, *shape):
        x = self.rng.normal(size=shape)
        if self.kind == "integers":
            return np.rint(3 * x).astype("int32")
        if self.kind == "tiny":
            smallest = 2.0 ** -EXPONENTS[self.dtype]
            x = np.rint(x * TINY[self.dtype] / smallest) * smallest
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

    def trial(self):
        """Return a trial of a layer."""
        layer = self.one_of(LAYERS)
        arguments = {n: self.one_of(v) for n, v in layer.arguments.items()}
        arguments |= layer.fixed
        omitted = layer.omitted(arguments)
        axes = {
            n: self.one_of(choices).split()
            for n, choices in layer.inputs.items()
            if n not in omitted
        }
        sizes = {"dim": self.one_of(DIMS), "1": 1}
        sizes |= {axis: self.one_of((1, 2)) for axis in ("candidates", "units")}
        # Without a next step AuxiliaryLoss has products without elements.
        steps = STEPS[1:] if layer.measured and not EMPTY else STEPS
        valid, lengths = {}, {}
        by_lengths = bool(layer.lengths) and self.flag()
        for axis in ("steps", "queries", "other"):
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
            # Statistics of no steps cannot be compared; those of tiny features
            # are rounding errors.
            some = self.batch > 0 and all(v.any() for v in valid.values())
            call["training"] = self.flag() and some and self.kind != "tiny"
        if layer.name == "AttentionSequencePoolingLayer" and self.flag():
            call["return_attention_scores"] = True
        if "dropout_rate" in arguments and call.get("training"):
            arguments["dropout_rate"] = 0.0
        features = {}
        for name, names in axes.items():
            shape = self.batch, *(sizes[axis] for axis in names)
            if name in STEP_WEIGHTS:
                features[name] = self.rng.random(shape)
            else:
                features[name] = self.numbers(*shape)
        trial = layer.trial(
            arguments,
            features,
            valid,
            {n: " ".join(names) for n, names in axes.items()},
            measured=True,
            lengths=lengths if by_lengths else None,
            call=call,
            dtype=self.dtype,
        )
        # Transformer's sum and mean are of all steps, also of padded ones.
        of_all = arguments.get("output_type") in ("sum", "mean")
        return replace(trial, grows=trial.grows and not of_all)
