"""The calls of DeepCTR's layers that are recorded, one table for each layer.

Every row has at least one valid step, and at least two where Transformer's
blinding excludes the step itself: DeepCTR's result is undefined otherwise.
Padded steps contain random numbers like all others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Features:
    """Standard normal inputs, whose gradient is recorded."""

    shape: tuple[int, ...]

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        return rng.normal(size=self.shape).astype("float32")


@dataclass(frozen=True)
class Scores(Features):
    """Uniform inputs in [0, 1), as attention scores."""

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        return rng.random(size=self.shape).astype("float32")


@dataclass(frozen=True)
class Lengths:
    """The lengths of the rows, shape (batch, 1)."""

    steps: tuple[int, ...]
    dtype: str = "int32"

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        return np.array(self.steps, self.dtype)[:, None]


@dataclass(frozen=True)
class Configuration:
    """One call of a layer: constructor arguments and inputs.

    `output_mask` marks the valid steps of the output. The others have a
    cotangent of 0, because DeepCTR returns padding there.
    """

    name: str
    inputs: dict[str, Features | Lengths]
    kwargs: dict[str, Any] = field(default_factory=dict)
    masks: list[np.ndarray | None] | None = None
    training: bool | None = None
    single_input: bool = False
    initial_weights: bool = False
    output_mask: np.ndarray | None = None


def mask(lengths, steps):
    """Return the bool (batch, steps) mask of rows of these lengths."""
    return np.arange(steps) < np.array(lengths)[:, None]


def holes(steps, *missing):
    """Return a bool mask, one row for each tuple of missing steps."""
    return np.array([~np.isin(np.arange(steps), row) for row in missing])


def single(name, shape, training=None, initial_weights=False, **kwargs):
    """Return a call with one tensor instead of a list."""
    return Configuration(
        name,
        {"inputs": Features(shape)},
        kwargs,
        training=training,
        single_input=True,
        initial_weights=initial_weights,
    )


# Pooling and attention: a batch of four rows of up to five steps.
LENGTHS = (5, 3, 1, 4)
BEYOND = Lengths((8, 3, 1, 6))
FLOAT = Lengths(LENGTHS, "float32")
KEYS = Features((4, 5, 3))
QUERY = Features((4, 1, 3))
PREFIX = mask(LENGTHS, 5)
HOLES = holes(5, (), (0, 2), (0, 1, 2, 3), (4,))


def history(masked, **inputs):
    """Return a function of a name and of lengths or the mask of one input."""

    def row(name, steps=Lengths(LENGTHS), training=None, **kwargs):
        if isinstance(steps, Lengths):
            given = {n: x or steps for n, x in inputs.items()}
            return Configuration(name, given, kwargs, training=training)
        given = {n: x for n, x in inputs.items() if x}
        return Configuration(
            name,
            given,
            {**kwargs, "supports_masking": True},
            [steps if n == masked else None for n in given],
            training,
            single_input=len(given) == 1,
        )

    return row


def pooling_table():
    row = history("values", values=KEYS, lengths=None)
    modes = ("sum", "mean", "max")
    return [
        row("default-lengths"),
        *(row(f"{mode}-lengths", mode=mode) for mode in modes),
        row("mean-float-lengths", FLOAT, mode="mean"),
        row("sum-past-the-end", BEYOND, mode="sum"),
        row("max-past-the-end", BEYOND, mode="max"),
        *(row(f"{mode}-mask", PREFIX, mode=mode) for mode in modes),
        *(row(f"{mode}-mask-holes", HOLES, mode=mode) for mode in modes),
    ]


def weighted_table():
    row = history("keys", keys=KEYS, lengths=None, weights=Features((4, 5, 1)))
    softmax, raw = ({"weight_normalization": on} for on in (True, False))
    return [
        row("default-lengths"),
        row("normalized-lengths", **softmax),
        row("raw-lengths", **raw),
        row("normalized-float-lengths", FLOAT, **softmax),
        row("normalized-mask", PREFIX, **softmax),
        row("raw-mask", PREFIX, **raw),
        row("normalized-mask-holes", HOLES, **softmax),
        row("raw-mask-holes", HOLES, **raw),
    ]


PRELU = {"layer_class": "PReLU"}


def attention_table():
    row = history("keys", query=QUERY, keys=KEYS, lengths=None)
    one, two, three = (
        {"att_hidden_units": units} for units in ([4], [4, 3], [4, 3, 2])
    )
    relu, tanh, prelu, dice = (
        {"att_activation": name} for name in ("relu", "tanh", PRELU, "dice")
    )
    softmax = {"weight_normalization": True}
    score = {"return_score": True}
    usual = Lengths(LENGTHS)
    # DeepCTR includes padded steps in batch statistics: rows in training are
    # full.
    training = (Lengths((5,) * 4), True)
    return [
        row("sigmoid-lengths", **two),
        row("sigmoid-softmax-lengths", **two, **softmax),
        row("sigmoid-score-lengths", **one, **score),
        row("sigmoid-softmax-score-lengths", **one, **softmax, **score),
        row("no-hidden-lengths", att_hidden_units=[]),
        row("three-hidden-lengths", **three),
        row("relu-lengths", att_hidden_units=[6, 4], **relu),
        row("tanh-softmax-lengths", **three, **softmax, **tanh),
        row("prelu-lengths", **two, **prelu),
        row("float-lengths", FLOAT, **one, **softmax),
        row("past-the-end", BEYOND, **one),
        row("dice-lengths", usual, False, **two, **dice),
        row("dice-softmax-lengths", usual, False, **one, **dice, **softmax),
        row("dice-training", *training, **two, **dice),
        row("dice-softmax-training", *training, **one, **dice, **softmax),
        row("dice-score-training", *training, **one, **dice, **score),
        row("sigmoid-mask", PREFIX, **one),
        row("sigmoid-softmax-mask-holes", HOLES, **one, **softmax),
        row("relu-mask-holes", HOLES, **one, **relu),
        row("tanh-score-mask", PREFIX, **one, **score),
        row("softmax-score-mask-holes", HOLES, **one, **softmax, **score),
        row("prelu-softmax-mask", PREFIX, **one, **prelu),
        row("dice-softmax-mask", PREFIX, False, **one, **dice, **softmax),
        row("dice-training-mask", mask((5,) * 4, 5), True, **one, **dice),
    ]


def bilstm_table():
    prefix = mask((4, 2, 1), 4)

    def row(name, training=None, step_mask=None, input_dim=2, **kwargs):
        return Configuration(
            name,
            {"inputs": Features((3, 4, input_dim))},
            {"units": 3, **kwargs},
            None if step_mask is None else [step_mask],
            training,
            single_input=True,
            output_mask=step_mask,
        )

    one, two, three = (
        {"layers": layers, "dropout_rate": 0.0} for layers in (1, 2, 3)
    )
    concat = {"merge_mode": "concat"}
    return [
        row("defaults", training=False),
        *(
            row(mode, **one, merge_mode=mode)
            for mode in ("fw", "bw", "concat", "sum", "ave", "mul")
        ),
        row("unmerged", **one, merge_mode=None),
        row("two-layers-concat-training", True, **two, **concat),
        row("three-layers", **three),
        row("residual-last", **two, res_layers=1),
        row("residual-all", input_dim=3, **two, res_layers=2),
        row("dropout-off", False, layers=1, dropout_rate=0.5),
        row("mask", step_mask=prefix, **one, **concat),
        row("mask-holes", None, holes(4, (), (0, 2), (1, 3)), **one, **concat),
        row("two-layers-mask", step_mask=prefix, **two, merge_mode="sum"),
        row("residual-last-mask", step_mask=prefix, **two, res_layers=1),
    ]


def transformer_table():
    query_lengths, short = (4, 1, 3), (3, 1, 4)
    query_mask, key_mask = mask(query_lengths, 4), mask((3, 2, 4), 4)
    short_mask = mask(short, 4)
    mask_holes = holes(4, (0, 2), (1,), ())

    def row(name, inputs, queries, masks=None, training=None, **kwargs):
        pooled = kwargs.get("output_type", "mean") is not None
        shown = None if pooled else queries
        return Configuration(
            name, inputs, kwargs, masks, training, output_mask=shown
        )

    def by_lengths(name, keys=(3, 2, 4), dtype="int32", width=6, **kwargs):
        inputs = {
            **dict.fromkeys(("queries", "keys"), Features((3, 4, width))),
            "query_lengths": Lengths(query_lengths, dtype),
            "key_lengths": Lengths(keys, dtype),
        }
        return row(name, inputs, query_mask, **kwargs)

    def by_mask(name, *masks, **kwargs):
        shapes = [Features((*m.shape, 6)) for m in masks]
        inputs = dict(zip(("queries", "keys"), shapes, strict=True))
        kwargs["supports_masking"] = True
        return row(name, inputs, masks[0], list(masks), **kwargs)

    heads = {"att_embedding_size": 3, "head_num": 2}
    # Attention alone, without the weights that every case would repeat.
    base = {
        **heads,
        "use_positional_encoding": False,
        "use_res": False,
        "use_feed_forward": False,
        "output_type": None,
    }
    seen = {"blinding": False}
    cos, ln, additive = (
        {"attention_type": kind} for kind in ("cos", "ln", "additive")
    )

    def changed(name, **kwargs):
        return by_lengths(name, **{**base, **kwargs})

    return [
        by_lengths("defaults", width=8),
        by_lengths("scaled-dot", **base),
        by_lengths("cos", **base, **cos),
        by_lengths("ln", **base, **ln),
        by_lengths("additive", **base, **additive),
        by_lengths("scaled-dot-seen", short, **base, **seen),
        by_lengths("cos-seen", short, **base, **seen, **cos),
        by_lengths("ln-seen", short, **base, **seen, **ln),
        by_lengths("additive-seen", short, **base, **seen, **additive),
        by_lengths("float-lengths", dtype="float32", **base),
        changed("mean", output_type="mean"),
        changed("sum", output_type="sum"),
        changed("position", use_positional_encoding=True),
        changed("residual", use_res=True),
        # Without the residual, DeepCTR ignores the feed-forward result.
        changed("feed-forward-no-residual", use_feed_forward=True),
        changed("layer-norm", use_layer_norm=True),
        changed("one-head", att_embedding_size=6, head_num=1),
        by_lengths(
            "dropout-off", training=False, **heads, dropout_rate=0.5, seed=7
        ),
        by_lengths(
            *("bst", short),
            **heads,
            **seen,
            use_layer_norm=True,
            output_type=None,
        ),
        by_mask("scaled-dot-mask", query_mask, key_mask, **base),
        by_mask("cos-mask-holes", query_mask, mask_holes, **base, **cos),
        by_mask("ln-mask", query_mask, key_mask, **base, **ln),
        by_mask(
            *("additive-seen-mask-holes", mask_holes, short_mask),
            **base,
            **seen,
            **additive,
        ),
        by_mask(
            *("dsin-mask", query_mask, key_mask),
            **heads,
            use_positional_encoding=False,
        ),
        by_mask("fewer-queries-mask", query_mask[:, :3], key_mask, **base),
        by_mask(
            *("fewer-keys-seen-mask", query_mask, short_mask[:, :3]),
            **heads,
            **seen,
            use_feed_forward=False,
            output_type="sum",
        ),
    ]


def position_table():
    def row(name, initial_weights=False, **kwargs):
        return single(
            name, (3, 4, 5), initial_weights=initial_weights, **kwargs
        )

    fixed = {"pos_embedding_trainable": False}
    return [
        row("defaults"),
        row("fixed", **fixed),
        row("zero-pad", zero_pad=True),
        row("no-scale", scale=False),
        row("fixed-zero-pad-no-scale", **fixed, zero_pad=True, scale=False),
        row("initial-table", True, **fixed),
        row("initial-table-zero-pad", True, zero_pad=True),
    ]


def bias_table():
    def row(name, sessions, **kwargs):
        inputs = {f"session_{i}": Features((3, 4, 5)) for i in range(sessions)}
        return Configuration(
            name, inputs, {"sess_max_count": sessions, **kwargs}
        )

    return [
        row("two-sessions", 2),
        row("three-sessions", 3),
        row("two-sessions-seed", 2, seed=7),
    ]


def gru_table():
    def row(name, gru_type, lengths=Lengths(LENGTHS), **kwargs):
        inputs = {"keys": KEYS, "lengths": lengths}
        if gru_type in ("AGRU", "AUGRU"):
            inputs["scores"] = Scores((4, 5, 1))
        return Configuration(name, inputs, {"gru_type": gru_type, **kwargs})

    last, narrow = {"return_sequence": False}, {"num_units": 2}
    rows = [
        row(f"{gru_type.lower()}-{name}", gru_type, **kwargs)
        for gru_type in ("GRU", "AIGRU", "AGRU", "AUGRU")
        for name, kwargs in (
            ("sequence", {}),
            ("last", last),
            ("sequence-units", narrow),
            ("last-units", last | narrow),
        )
    ]
    rows.insert(4, row("gru-float-lengths", "GRU", FLOAT, **narrow))
    return rows


def k_max_table():
    return [
        single("default-k", (4, 5, 3), axis=1),
        single("steps", (4, 5, 3), k=2, axis=1),
        single("features", (4, 5, 3), k=2, axis=2),
        single("all-steps", (4, 5, 3), k=5, axis=1),
        single("two-dimensions", (4, 5), k=3, axis=1),
        single("four-dimensions", (2, 3, 4, 5), k=2, axis=2),
    ]


DROPOUT = {"dropout_rate": 0.5, "l2_reg": 0.01, "seed": 7}
DICE = {"activation": "dice"}


def local_activation_table():
    def row(name, hidden_units, training=None, **kwargs):
        return Configuration(
            name,
            {"query": QUERY, "keys": KEYS},
            {"hidden_units": hidden_units, **kwargs},
            training=training,
        )

    return [
        row("sigmoid", [4, 3]),
        row("no-hidden", []),
        row("tanh-three-hidden", [4, 3, 2], activation="tanh"),
        row("prelu", [4], activation=PRELU),
        row("dice", [4, 3], False, **DICE),
        row("dice-training", [4], True, **DICE),
        row("batch-norm", [4, 3], False, activation="relu", use_bn=True),
        row("batch-norm-training", [4], True, use_bn=True),
        row("dice-batch-norm", [4], True, **DICE, use_bn=True),
        row("dropout-off", [4], False, **DROPOUT),
    ]


FLAT, SEQUENCE = (5, 3), (4, 5, 3)


def dnn_table():
    def row(name, shape, hidden_units, training=None, **kwargs):
        kwargs = {"hidden_units": hidden_units, **kwargs}
        return single(name, shape, training, **kwargs)

    return [
        row("relu", FLAT, [4, 2]),
        row("relu-sequence", SEQUENCE, [4, 2]),
        row("tanh-three-layers", FLAT, [4, 3, 2], activation="tanh"),
        row("output-sigmoid", FLAT, [4, 2], output_activation="sigmoid"),
        row("output-dice", FLAT, [4, 2], True, output_activation="dice"),
        row("prelu-sequence", SEQUENCE, [4], activation=PRELU),
        row("dice", FLAT, [4, 2], False, activation="Dice"),
        row("dice-training", SEQUENCE, [4, 2], True, **DICE),
        row("batch-norm", FLAT, [4, 2], False, use_bn=True),
        row("batch-norm-training", FLAT, [4, 2], True, use_bn=True),
        row("batch-norm-sequence", SEQUENCE, [4], True, use_bn=True),
        row("dice-batch-norm", FLAT, [4], True, **DICE, use_bn=True),
        row("dropout-off", FLAT, [4], False, **DROPOUT),
    ]


def dice_table():
    return [
        single("flat", FLAT, False),
        single("flat-training", FLAT, True),
        single("sequence", SEQUENCE, False),
        single("sequence-training", SEQUENCE, True),
        single("epsilon", FLAT, False, epsilon=0.1),
        single("epsilon-training", SEQUENCE, True, epsilon=0.1),
        single("axis-one", SEQUENCE, False, axis=1),
        single("axis-one-training", SEQUENCE, True, axis=1),
    ]


TABLES: dict[str, list[Configuration]] = {
    "SequencePoolingLayer": pooling_table(),
    "WeightedSequenceLayer": weighted_table(),
    "AttentionSequencePoolingLayer": attention_table(),
    "BiLSTM": bilstm_table(),
    "Transformer": transformer_table(),
    "PositionEncoding": position_table(),
    "BiasEncoding": bias_table(),
    "DynamicGRU": gru_table(),
    "KMaxPooling": k_max_table(),
    "LocalActivationUnit": local_activation_table(),
    "DNN": dnn_table(),
    "Dice": dice_table(),
}
