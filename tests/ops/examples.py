"""Examples of every function of `kseq.ops`, with references in float64.

Shapes are names of axes, so that an example can be drawn with any sizes.
"""

import functools
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kseq.agreement.numbers import rounded
from kseq.agreement.reference import complex_step_gradients
from kseq.ops.validation import FUNCTIONS
from tests.layers import catalog
from tests.reference import attention, pooling, recurrence, transformer
from tests.reference.masks import mask_of, select, softmax
from tests.reference.transformer import attend

SIZES = {"batch": 4, "steps": 6, "queries": 3, "candidates": 2, "heads": 2}
SIZES |= {"dim": 3, "units": 2}
LENGTHS = catalog.LENGTHS["steps"]
MASK = catalog.MASK
MASKS = dict.fromkeys(("valid", "mask"), MASK)
MASKS["query_valid"] = np.roll(MASK, 1, axis=0)


@dataclass(frozen=True)
class Example:
    name: str
    axes: dict[str, Any]  # of each tensor, or a tuple of them
    reference: Any  # a function of the same tensors
    options: dict[str, Any]
    half: bool = True  # accurate in half precision

    def __str__(self):
        return self.name

    def __call__(self, **tensors):
        return self.function(**tensors, **self.options)

    @property
    def function(self):
        return FUNCTIONS[self.name.split("-")[0]]

    @property
    def has_gradients(self):
        return self.expected(self.arrays())[0].dtype != bool

    def arrays(self, dtype="float64", **sizes):
        """Arguments; the same numbers in all dtypes but float64."""
        sizes = SIZES | sizes

        def draw(name, axes):
            if isinstance(axes, tuple):
                return tuple(draw(f"{name}{i}", a) for i, a in enumerate(axes))
            shape = tuple(eval(axis, {}, sizes) for axis in axes.split())
            if name == "lengths":
                return LENGTHS[: shape[0]]
            if name == "attention_mask":
                return catalog.draw(name, *shape) > -0.5
            if name in MASKS:
                return MASKS[name][: shape[0], : shape[1]].reshape(shape)
            x = catalog.draw(name, *shape)
            return x if dtype == "float64" else rounded(x, "bfloat16")

        # Sorted, as keras.tree flattens it.
        return {name: draw(name, self.axes[name]) for name in sorted(self.axes)}

    def expected(self, arrays):
        return keras.tree.flatten(self.reference(**arrays))

    @functools.cached_property
    def expected_gradients(self):
        """Of all floats, for `cotangents`."""
        arrays = self.arrays("float32")

        def reference(flat):
            return self.expected(keras.tree.pack_sequence_as(arrays, flat))

        found = complex_step_gradients(
            reference,
            keras.tree.flatten(arrays),
            cotangents(self.expected(arrays)),
        )
        return [gradient for gradient in found if gradient is not None]


def cotangents(outputs):
    return [
        catalog.draw(f"gradient {i}", *y.shape) for i, y in enumerate(outputs)
    ]


def pool(mode):
    return lambda x, valid: pooling.pool(x, valid, mode)[:, 0]


def k_max(axis):
    return lambda x, valid=None: pooling.k_max(x, 2, axis, valid)


def attention_weights(normalize):
    return functools.partial(attention.attention_weights, normalize=normalize)


def gru(gru_type, form="deepctr"):
    def reference(x, valid, scores=None, initial_state=None, **weights):
        weights = [weights[n] for n in RESET_AFTER if n in weights]
        return recurrence.gru(
            *(x, valid, weights, scores, gru_type, form, initial_state)
        )

    return reference


X = {"x": "batch steps dim"}
SEQUENCE = X | {"valid": "batch steps"}
SCORES = {"scores": "batch steps", "valid": "batch steps"}
WEIGHTS = {"weights": "batch steps", "valid": "batch steps"}
DIN = {"query": "batch candidates dim", "keys": "batch steps dim"}
DIN |= {"kernel": "4*dim units", "bias": "units"}
DIN_WEIGHTS = "batch candidates steps"
GRU_WEIGHTS = {
    "gates_kernel": "dim+units 2*units",
    "gates_bias": "2*units",
    "candidate_kernel": "dim+units units",
    "candidate_bias": "units",
}
RESET_AFTER = GRU_WEIGHTS | {"candidate_state_bias": "units"}
GRU = SEQUENCE | GRU_WEIGHTS
START = GRU | {"initial_state": "batch units"}
SCORED = START | {"scores": "batch steps"}
LSTM = SEQUENCE | {"kernel": "dim 4*units", "bias": "4*units"}
LSTM |= {"recurrent_kernel": "units 4*units"}
HEADS = {"query": "batch heads queries dim", "valid": "batch steps"}
HEADS |= dict.fromkeys(("keys", "values"), "batch heads steps dim")
QUERIES = HEADS | {"query_valid": "batch queries"}
ATTENTION = {
    "scaled_dot_product": HEADS,
    "cos": QUERIES,
    "ln": HEADS | {"weights": ("dim",) * 4},
    "additive": QUERIES | {"weights": ("dim",) * 2},
}
# A function, and what tells its examples apart; the axes of its tensors; the
# reference; and options.
ROWS = [
    ("zero_padding", SEQUENCE, lambda x, valid: select(valid[..., None], x)),
    ("lengths_to_mask", X | {"lengths": "batch"}, mask_of),
    ("resolve_mask", X, lambda x: np.ones(x.shape[:2], bool)),
    ("resolve_mask-mask", X | {"mask": "batch steps"}, mask_of),
    ("resolve_mask-lengths", X | {"lengths": "batch"}, mask_of),
    (
        "resolve_mask-both",
        {"x": "batch steps", "mask": "batch steps", "lengths": "batch"},
        lambda x, mask, lengths: mask & mask_of(x, lengths=lengths),
    ),
    ("masked_softmax", SCORES, softmax),
    ("masked_sum", SEQUENCE, pool("sum")),
    ("masked_mean", SEQUENCE, pool("mean")),
    ("masked_max", SEQUENCE, pool("max")),
    ("step_weights", WEIGHTS, lambda weights, valid: softmax(weights, valid)),
    (
        "step_weights-as-given",
        WEIGHTS,
        lambda weights, valid: select(valid, weights),
        {"normalize": False},
    ),
    (
        "step_weights-fractions",
        WEIGHTS,
        pooling.fractions,
        {"normalize": "sum"},
    ),
    ("k_max", SEQUENCE, k_max(1), {"k": 2}),
    ("k_max-axis2", SEQUENCE, k_max(2), {"k": 2, "axis": 2}),
    ("k_max-all-valid", X, k_max(1), {"k": 2}),
    ("din_hidden", DIN, attention.hidden),
    ("din_hidden-fold", DIN, attention.hidden, {"form": "fold"}),
    ("din_hidden-split", DIN, attention.hidden, {"form": "split"}),
    *(
        (
            f"attention_weights{name}",
            {"scores": DIN_WEIGHTS, "valid": "batch steps"},
            attention_weights(normalize=bool(options)),
            options,
        )
        for name, options in (("", {}), ("-softmax", {"normalize": True}))
    ),
    (
        "attention_pool",
        {"weights": DIN_WEIGHTS, "keys": "batch steps dim"},
        lambda weights, keys: weights @ keys,
    ),
    (
        "linear",
        X | {"kernel": "dim units", "bias": "units"},
        lambda x, kernel, bias: x @ kernel + bias,
    ),
    (
        "linear-no-bias",
        {"x": "batch dim", "kernel": "dim units"},
        lambda x, kernel: x @ kernel,
    ),
    ("tanh", X, lambda x: np.tanh(x)),
    ("l2_normalize", X, transformer.unit),
    (
        "layer_normalize",
        X | {"gamma": "dim", "beta": "dim"},
        transformer.layer_norm,
    ),
    ("gru", GRU, gru("GRU")),
    ("gru-AIGRU", START, gru("AIGRU"), {"gru_type": "AIGRU"}),
    ("gru-AGRU", SCORED, gru("AGRU"), {"gru_type": "AGRU"}),
    ("gru-AUGRU", SCORED, gru("AUGRU"), {"gru_type": "AUGRU"}),
    (
        "gru-AUGRU-paper",
        SCORED,
        gru("AUGRU", "paper"),
        {"gru_type": "AUGRU", "augru_form": "paper"},
    ),
    ("gru-reset-after", SEQUENCE | RESET_AFTER, gru("GRU")),
    ("lstm", LSTM, recurrence.lstm),
    (
        "lstm-reverse",
        LSTM,
        functools.partial(recurrence.lstm, reverse=True),
        {"reverse": True},
    ),
]


def examples():
    for name, axes, reference, *options in ROWS:
        yield Example(name, axes, reference, *(options or [{}]))
    for kind, axes in ATTENTION.items():
        for name, options in (
            ("", {}),
            ("-blinding", {"blinding": True}),
            ("-chunks", {"blinding": True, "max_scores": 7}),
        ):
            yield Example(
                f"multi_head_attention-{kind}{name}",
                axes,
                attend(kind, options.get("blinding", False)),
                {"attention_type": kind, **options},
                # A cosine is multiplied by 20 before it is an exponent.
                half=kind != "cos",
            )
    masked = {"attention_mask": "batch queries steps"}
    biased = {"attention_bias": "1 heads queries steps"}
    for name, kind, more, options in (
        ("causal", "scaled_dot_product", {}, {"causal": True}),
        ("window", "scaled_dot_product", {}, {"window": 2, "blinding": True}),
        ("mask", "scaled_dot_product", masked, {}),
        (
            "all-in-chunks",
            "additive",
            masked | biased,
            {"causal": True, "window": 2, "max_scores": 7},
        ),
    ):
        offsets = {n: x for n, x in options.items() if n != "max_scores"}
        yield Example(
            f"multi_head_attention-{name}",
            ATTENTION[kind] | more,
            attend(kind, **offsets),
            {"attention_type": kind, **options},
        )


EXAMPLES = list(examples())
BY_NAME = {example.name: example for example in EXAMPLES}
# Where each is compiled: one of each function and of each kind of attention.
FEWER = EXAMPLES
if keras.backend.backend() in ("jax", "openvino"):
    MORE = ("gru-AUGRU", "lstm-reverse", "multi_head_attention-all-in-chunks")
    MORE += tuple(f"multi_head_attention-{kind}" for kind in ATTENTION)
    FEWER = [e for e in EXAMPLES if "-" not in e.name or e.name in MORE]
