"""Draws arguments, shapes, histories and numbers.

Sizes come from short lists: XLA compiles each shape once.
"""

import keras
import numpy as np
from hypothesis import strategies as st

from kseq.ops.dtypes import HALF_DTYPES
from tests.layers.catalog import LENGTHS, STEP_WEIGHTS
from tests.layers.trial import Trial

# OpenVINO stops the process in products of tensors without elements.
EMPTY = () if keras.backend.backend() == "openvino" else (0,)
BATCHES = (*EMPTY, 1, 3, 4)
STEPS = (1, 2, 5, 7)
DIMS = (1, 3, 4)
LENGTH_DTYPES = ("int8", "uint8", "int32", "int64", "float32")
# Below what a dtype holds in full, and its smallest number.
TINY = {"float64": 1e-310, "float32": 1e-42, "bfloat16": 1e-39, "float16": 1e-6}
LEAST = {
    "float64": 2.0**-1074,
    "float32": 2.0**-149,
    "bfloat16": 2.0**-133,
    "float16": 2.0**-24,
}
HUGE = 1e10


class Draws:
    """Hypothesis's choices, and the trials of them.

    Args:
        draw: Hypothesis's.
        dtypes: those to choose from.
        kinds: what else than numbers of the order of 1 features may be:
            "tiny", "huge", of which gradients are sums of what cancels, and
            "integers".
    """

    def __init__(self, draw, dtypes, kinds):
        self.draw = draw
        self.dtype = self.one_of(dtypes)
        kind = self.one_of(("usual", "usual", *kinds))
        if kind == "huge" and self.dtype in HALF_DTYPES:
            kind = "usual"
        self.integers = kind == "integers"
        self.size = {"tiny": TINY[self.dtype], "huge": HUGE}.get(kind, 1.0)
        self.batch = self.one_of(BATCHES)
        self.dim = self.one_of(DIMS)
        self.draws_lengths = self.flag()
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self.valid, self.lengths = {}, {}

    def one_of(self, values):
        return self.draw(st.sampled_from(values))

    def flag(self):
        return self.draw(st.booleans())

    def numbers(self, *shape):
        x = self.rng.normal(size=shape) * self.size
        if self.size == TINY[self.dtype]:
            x = np.rint(x / LEAST[self.dtype]) * LEAST[self.dtype]
        return x

    def weights(self, *shape):
        """Numbers that are never huge nor tiny."""
        return self.rng.normal(size=shape)

    def bits(self, *shape):
        size = int(np.prod(shape))
        bits = st.lists(st.booleans(), min_size=size, max_size=size)
        return np.array(self.draw(bits), bool).reshape(shape)

    def broadcast_bits(self, shape):
        """A mask that may have size 1 on some axes."""
        return self.bits(*(n if self.flag() else min(n, 1) for n in shape))

    def sequence(self, name, steps=None):
        """Draw the number of steps and the valid ones."""
        steps = steps or self.one_of(STEPS)
        if not self.draws_lengths:
            self.valid[name] = self.bits(self.batch, steps)
            return steps
        dtype = self.one_of(LENGTH_DTYPES)
        least = 0 if dtype == "uint8" else -1
        lengths = st.integers(least, steps + 1)
        drawn = self.draw(
            st.lists(lengths, min_size=self.batch, max_size=self.batch)
        )
        lengths = np.array(drawn).astype(dtype)
        self.lengths[name] = lengths[:, None] if self.flag() else lengths
        valid = np.arange(steps) < lengths.reshape(-1, 1)
        self.valid[name] = valid.reshape(self.batch, steps)
        return steps

    def trains(self):
        """Whether to train, with statistics of the batch.

        Without valid steps there is nothing to compare; rounding errors of tiny
        differences are divided by them, and huge ones are squared.
        """
        some = all(valid.any() for valid in self.valid.values())
        return self.flag() and some and self.batch > 0 and self.size == 1.0

    def drawn(self, make, features, reference, **rest):
        """A trial of an op, whose masks are those of `valid`."""
        sequences = {n: n for n in self.valid if n in features}
        return Trial(
            make,
            features,
            self.valid,
            reference,
            sequences | rest.pop("steps_of", {}),
            list(sequences) if rest.pop("masked", True) else (),
            dtype=self.dtype,
            size=self.size,
            **rest,
        )

    def layer(self, layer):
        """A trial of a layer of the catalog."""
        choices = {n: self.one_of(axes) for n, axes in layer.inputs.items()}
        arguments = {
            n: self.one_of(values) for n, values in layer.arguments.items()
        } | dict(layer.fixed)
        sizes = {"dim": self.dim, "candidates": self.one_of((1, 3)),
                 "units": self.one_of((1, 3)), "1": 1}  # fmt: skip
        omitted = layer.omitted(arguments)
        axes = {n: a for n, a in choices.items() if n not in omitted}
        has_mask = layer.masks and (layer.lengths or self.flag())
        least = EMPTY == () and layer.measured is not None
        for text in axes.values():
            first = text.split()[0]
            if first in LENGTHS and first not in sizes:
                # Without a next step there are products of nothing.
                sizes[first] = self.sequence(
                    first, self.one_of(STEPS[1:] if least else STEPS)
                )
        if not has_mask:
            self.valid = {
                n: np.ones_like(v)
                for n, v in self.valid.items()
                if layer.is_list
            }
        arguments |= layer.settled(arguments, sizes)
        sizes["dim"] = layer.dim(arguments) or sizes["dim"]
        call = {}
        if layer.trains(layer.defaults | arguments):
            call["training"] = self.trains()
        if layer.name == "AttentionSequencePoolingLayer" and self.flag():
            call["return_attention_scores"] = True
        if "dropout_rate" in arguments and call.get("training"):
            arguments["dropout_rate"] = 0.0
        features = {}
        for name, text in axes.items():
            shape = [self.batch, *(sizes[axis] for axis in text.split())]
            x = self.numbers(*shape)
            if name in STEP_WEIGHTS:
                x = 1 / (1 + np.exp(-self.weights(*shape)))
            if self.integers:
                x = np.rint(3 * x).astype("int32")
            features[name] = x
        lengths = None
        if layer.lengths and self.draws_lengths:
            lengths = {n: self.lengths[x] for n, x in layer.lengths.items()}
        return layer.trial(
            arguments,
            features,
            self.valid,
            axes,
            measured=True,
            lengths=lengths,
            call=call,
            dtype=self.dtype,
            size=self.size,
        )


def family(make, dtypes, kinds):
    """A strategy of `Drawn`."""
    return st.composite(lambda draw: make(Draws(draw, dtypes, kinds)))()
