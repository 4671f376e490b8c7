"""Examples of every function of `kseq.ops`, with references in float64.

Shapes are names of axes, so that an example can be drawn with any sizes.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from kseq import ops as kops
from kseq.agreement.numbers import rounded
from kseq.agreement.reference import complex_step_gradients
from kseq.ops.multi_head import ATTENTION_TYPES
from kseq.ops.numerics import moments
from kseq.ops.positions import first_rows, sinusoid_like
from tests import cases
from tests.reference import attention, pooling, recurrence, transformer
from tests.reference.masks import mask_of, select, softmax

SIZES = {
    "batch": 4,
    "steps": 6,
    "queries": 3,
    "candidates": 2,
    "heads": 2,
    "dim": 3,
    "units": 2,
    "rows": 9,
}
LENGTHS = cases.LENGTHS[:, 0]
MASKS = {
    "valid": cases.MASK,
    "mask": cases.MASK,
    "query_valid": np.roll(cases.MASK, 1, axis=0),
}


@dataclass(frozen=True)
class Example:
    name: str
    function: Callable[..., Any]
    axes: dict[str, Any]  # of each tensor, or a tuple of them
    reference: Callable[..., Any]  # takes the same arguments but the options
    options: dict[str, Any] = field(default_factory=dict)
    half: bool = True  # accurate in half precision
    # Values of padded steps that must not have an effect.
    fillings: tuple[float, ...] = (np.nan, np.inf, -np.inf, 3e38)

    def __str__(self):
        return self.name

    def __call__(self, **tensors):
        return self.function(**tensors, **self.options)

    @property
    def inert(self):
        """Whether padding may be NaN."""
        return np.isnan(self.fillings[0])

    @property
    def has_mask(self):
        return not {"valid", "mask", "lengths"}.isdisjoint(self.axes)

    def arrays(self, dtype="float64", **sizes):
        """Arguments; the same numbers in all dtypes but float64."""
        sizes = SIZES | sizes

        def draw(name, axes):
            if isinstance(axes, tuple):
                return tuple(
                    draw(f"{name} {i}", each) for i, each in enumerate(axes)
                )
            shape = tuple(eval(axis, {}, sizes) for axis in axes.split())
            if name == "lengths":
                return LENGTHS[: shape[0]]
            if name in MASKS:
                mask = MASKS[name][: shape[0], : shape[1]]
                return mask.reshape(shape)
            x = cases.draw(name, *shape)
            return x if dtype == "float64" else rounded(x, "bfloat16")

        # Sorted, as keras.tree flattens it.
        return {name: draw(name, self.axes[name]) for name in sorted(self.axes)}

    def filled(self, value, dtype="float32"):
        """Arguments with a value in all padded steps."""
        arrays = self.arrays(dtype)
        for name, x in arrays.items():
            padded = self.padded(name)
            if padded is not None:
                arrays[name] = np.where(padded, value, x)
        return arrays

    def padded(self, name):
        """Which entries of an argument are padding; None: it has none."""
        if name in (*MASKS, "lengths") or not self.has_mask:
            return None
        axes = self.axes[name]
        if isinstance(axes, tuple) or not {"batch", "steps"} <= {*axes.split()}:
            return None
        axes = axes.split()
        valid = cases.MASK
        if "lengths" in self.axes and "mask" not in self.axes:
            valid = mask_of(cases.X, lengths=LENGTHS)
        shape = [SIZES[a] if a in ("batch", "steps") else 1 for a in axes]
        whole = [SIZES.get(a, 1) for a in axes]
        return np.broadcast_to(~valid.reshape(shape), whole)

    def expected(self, arrays):
        return keras.tree.flatten(self.reference(**arrays))

    @functools.cached_property
    def float_names(self):
        """The argument of each float tensor, in the order of the gradients."""
        names = []
        for name in sorted(self.axes):
            if name not in (*MASKS, "lengths"):
                axes = self.axes[name]
                names += [name] * (len(axes) if isinstance(axes, tuple) else 1)
        return names

    @functools.cached_property
    def expected_gradients(self):
        """Of all floats, for `cotangents`."""
        arrays = self.arrays("float32")

        def reference(flat, _):
            packed = keras.tree.pack_sequence_as(arrays, flat)
            return self.expected(packed)

        outputs = self.expected(arrays)
        found, _ = complex_step_gradients(
            reference, keras.tree.flatten(arrays), [], cotangents(outputs)
        )
        return [gradient for gradient in found if gradient is not None]


def cotangents(outputs):
    return [
        cases.draw(f"cotangent {i}", *y.shape) for i, y in enumerate(outputs)
    ]


def pool(mode):
    return lambda x, valid: pooling.pool(x, valid, mode)[:, 0]


def k_max(axis):
    return lambda x, valid: pooling.k_max(x, 2, axis, valid)


def din_hidden(query, keys, kernel, bias):
    shape = (*query.shape[:2], *keys.shape[1:])
    q = np.broadcast_to(query[:, :, None], shape)
    k = np.broadcast_to(keys[:, None], shape)
    return np.concatenate([q, k, q - k, q * k], axis=-1) @ kernel + bias


def gru(gru_type, form="deepctr"):
    def reference(x, valid, gates, candidate, scores=None, initial_state=None):
        weights = (*gates, *candidate)
        return recurrence.gru(
            x, valid, weights, scores, gru_type, form, initial_state
        )

    return reference


def attend(kind, blinding=False):
    def reference(query, keys, values, valid, query_valid=None, weights=()):
        queries, steps = query.shape[2], keys.shape[2]
        allowed = np.repeat(valid[:, None], queries, axis=1)
        if blinding:
            allowed = allowed & ~np.eye(queries, steps, dtype=bool)
        heads = []
        for h in range(query.shape[1]):
            q, k, v = query[:, h], keys[:, h], values[:, h]
            scores = transformer.scores(q, k, kind, weights)
            heads.append(softmax(scores, allowed) @ v)
        found = np.stack(heads, axis=1)
        if query_valid is None:
            return found
        return select(query_valid[:, None, :, None], found)

    return reference


def moments_of_valid(x, valid):
    entries = x[valid[..., 0]]
    if not len(entries):
        return [np.zeros((1, 1, x.shape[-1]), x.dtype)] * 3
    mean = entries.mean(axis=0)
    variance = ((entries - mean) ** 2).mean(axis=0)
    count = np.full_like(mean, len(entries))
    return [y[None, None] for y in (mean, variance, count)]


SEQUENCE = {"x": "batch steps dim", "valid": "batch steps"}
WEIGHTS = {"weights": "batch steps", "valid": "batch steps"}
SCORES = {"scores": "batch candidates steps", "valid": "batch steps"}
DIN = {
    "query": "batch candidates dim",
    "keys": "batch steps dim",
    "kernel": "4*dim units",
    "bias": "units",
}
GRU = SEQUENCE | {
    "gates": ("dim+units 2*units", "2*units"),
    "candidate": ("dim+units units", "units"),
}
START = GRU | {"initial_state": "batch units"}
SCORED = START | {"scores": "batch steps"}
LSTM = SEQUENCE | {
    "kernel": "dim 4*units",
    "recurrent_kernel": "units 4*units",
    "bias": "4*units",
}
HEADS = {
    "query": "batch heads queries dim",
    "keys": "batch heads steps dim",
    "values": "batch heads steps dim",
    "valid": "batch steps",
}
ATTENTION = {
    "scaled_dot_product": HEADS,
    "cos": HEADS | {"query_valid": "batch queries"},
    "ln": HEADS | {"weights": ("dim",) * 4},
    "additive": HEADS
    | {"query_valid": "batch queries", "weights": ("dim",) * 2},
}


def attention_examples():
    for kind in ATTENTION_TYPES:
        for name, options in (
            ("", {}),
            ("-blinding", {"blinding": True}),
            ("-chunks", {"max_scores": 20}),
            ("-blinding-chunks", {"blinding": True, "max_scores": 7}),
        ):
            yield Example(
                f"multi_head_attention-{kind}{name}",
                kops.multi_head_attention,
                ATTENTION[kind],
                attend(kind, options.get("blinding", False)),
                {"attention_type": kind, **options},
                # A cosine is multiplied by 20 before it is an exponent.
                half=kind != "cos",
                fillings=(100.0,),  # keys must be finite
            )


EXAMPLES = [
    Example(
        "zero_padding",
        kops.zero_padding,
        SEQUENCE,
        lambda x, valid: select(valid[..., None], x),
    ),
    Example(
        "zero_padding-rank4",
        kops.zero_padding,
        {"x": "batch steps dim units", "valid": "batch steps"},
        lambda x, valid: select(valid[..., None, None], x),
    ),
    Example(
        "lengths_to_mask",
        kops.lengths_to_mask,
        {"lengths": "batch", "x": "batch steps dim"},
        lambda lengths, x: mask_of(x, lengths=lengths),
    ),
    Example(
        "resolve_mask",
        kops.resolve_mask,
        {"x": "batch steps dim"},
        lambda x: np.ones(x.shape[:2], bool),
    ),
    Example(
        "resolve_mask-mask",
        kops.resolve_mask,
        {"x": "batch steps dim", "mask": "batch steps"},
        lambda x, mask: mask,
    ),
    Example(
        "resolve_mask-lengths",
        kops.resolve_mask,
        {"x": "batch steps dim", "lengths": "batch"},
        lambda x, lengths: mask_of(x, lengths=lengths),
    ),
    Example(
        "resolve_mask-both",
        kops.resolve_mask,
        {"x": "batch steps", "mask": "batch steps", "lengths": "batch"},
        lambda x, mask, lengths: mask & mask_of(x, lengths=lengths),
    ),
    Example(
        "masked_softmax",
        kops.masked_softmax,
        {"scores": "batch steps", "valid": "batch steps"},
        softmax,
    ),
    *(
        Example(f.__name__, f, SEQUENCE, pool(f.__name__.split("_")[1]))
        for f in (kops.masked_sum, kops.masked_mean, kops.masked_max)
    ),
    Example(
        "step_weights",
        kops.step_weights,
        WEIGHTS,
        lambda weights, valid: softmax(weights, valid),
    ),
    Example(
        "step_weights-as-given",
        kops.step_weights,
        WEIGHTS,
        lambda weights, valid: select(valid, weights),
        {"normalize": False},
    ),
    *(
        Example(
            f"k_max-axis{axis}",
            kops.k_max,
            SEQUENCE,
            k_max(axis),
            {"k": 2, "axis": axis},
        )
        for axis in (1, 2)
    ),
    Example(
        "k_max-all-valid",
        kops.k_max,
        {"x": "batch steps dim"},
        lambda x: pooling.k_max(x, 2, 1),
        {"k": 2},
    ),
    *(
        Example(
            f"din_hidden-{form}",
            kops.din_hidden,
            DIN,
            din_hidden,
            {"form": form},
        )
        for form in (None, "fold", "split")
    ),
    *(
        Example(
            f"attention_weights-{normalize}",
            kops.attention_weights,
            SCORES,
            functools.partial(attention.attention_weights, normalize=normalize),
            {"normalize": normalize},
        )
        for normalize in (False, True)
    ),
    Example(
        "attention_pool",
        kops.attention_pool,
        {"weights": "batch candidates steps", "keys": "batch steps dim"},
        lambda weights, keys: weights @ keys,
    ),
    Example(
        "linear",
        kops.linear,
        {"x": "batch steps dim", "kernel": "dim units", "bias": "units"},
        lambda x, kernel, bias: x @ kernel + bias,
    ),
    Example(
        "linear-no-bias",
        kops.linear,
        {"x": "batch dim", "kernel": "dim units"},
        lambda x, kernel: x @ kernel,
    ),
    Example("tanh", kops.tanh, {"x": "batch steps"}, lambda x: np.tanh(x)),
    Example(
        "l2_normalize",
        kops.l2_normalize,
        {"x": "batch steps dim"},
        transformer.unit,
    ),
    Example(
        "layer_normalize",
        kops.layer_normalize,
        {"x": "batch steps dim", "gamma": "dim", "beta": "dim"},
        transformer.layer_norm,
    ),
    Example(
        "moments",
        moments,
        {"x": "batch steps dim", "valid": "batch steps 1"},
        moments_of_valid,
        {"axes": (0, 1)},
        half=False,  # it takes float32 and float64
    ),
    Example(
        "sinusoid_like",
        sinusoid_like,
        {"x": "batch steps dim"},
        lambda x: transformer.table(*x.shape[1:]).reshape(x.shape[1:]),
    ),
    Example(
        "first_rows",
        first_rows,
        {"table": "rows dim", "x": "batch steps dim"},
        lambda table, x: table[: x.shape[1]],
    ),
    Example("gru", kops.gru, GRU, gru("GRU")),
    Example("gru-AIGRU", kops.gru, START, gru("AIGRU"), {"gru_type": "AIGRU"}),
    Example("gru-AGRU", kops.gru, SCORED, gru("AGRU"), {"gru_type": "AGRU"}),
    Example("gru-AUGRU", kops.gru, SCORED, gru("AUGRU"), {"gru_type": "AUGRU"}),
    Example(
        "gru-AUGRU-paper",
        kops.gru,
        SCORED,
        gru("AUGRU", "paper"),
        {"gru_type": "AUGRU", "augru_form": "paper"},
    ),
    Example("lstm", kops.lstm, LSTM, recurrence.lstm),
    Example(
        "lstm-reverse",
        kops.lstm,
        LSTM,
        functools.partial(recurrence.lstm, reverse=True),
        {"reverse": True},
    ),
    *attention_examples(),
]
BY_NAME = {example.name: example for example in EXAMPLES}
