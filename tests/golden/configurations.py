"""What is recorded: the calls of DeepCTR's layers, one table a layer.

Every row is defined in DeepCTR: it holds at least one step, and at least
two where Transformer's blinding takes the step itself away. The padded
steps hold ordinary random numbers like all others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Features:
    """Random numbers around zero; their gradient is recorded."""

    shape: tuple[int, ...]

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        return rng.normal(size=self.shape).astype("float32")


@dataclass(frozen=True)
class Scores(Features):
    """Random numbers in [0, 1), as attention scores are."""

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        return rng.random(size=self.shape).astype("float32")


@dataclass(frozen=True)
class Lengths:
    """The true length of each row, shape (batch, 1)."""

    steps: tuple[int, ...]
    dtype: str = "int32"

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        return np.array(self.steps, self.dtype)[:, None]


@dataclass(frozen=True)
class Configuration:
    """One call of a layer: its constructor's arguments and its inputs.

    `counted` says which steps of the output count, where not all do: the others
    have cotangent 0, since what DeepCTR gives there is padding too.
    """

    name: str
    inputs: dict[str, Features | Lengths]
    kwargs: dict[str, Any] = field(default_factory=dict)
    masks: list[np.ndarray | None] | None = None
    training: bool | None = None
    single_input: bool = False
    initial_weights: bool = False
    counted: np.ndarray | None = None


def mask(steps: tuple[int, ...], total: int) -> np.ndarray:
    """The bool (batch, total) mask of rows that end after `steps`."""
    return np.arange(total) < np.array(steps)[:, None]


def with_holes(total: int, *missing: tuple[int, ...]) -> np.ndarray:
    """A bool mask, one row for each tuple of missing steps."""
    steps = np.arange(total)
    return np.array([~np.isin(steps, row) for row in missing])


def pooling_table() -> list[Configuration]:
    batch, steps, dim = 4, 5, 3
    values = Features((batch, steps, dim))
    true_steps = (5, 3, 1, 4)
    prefix = [mask(true_steps, steps)]
    holes = [with_holes(steps, (), (0, 2), (0, 1, 2, 3), (4,))]

    def by_lengths(name: str, lengths: Lengths, **kwargs: Any) -> Configuration:
        inputs = {"values": values, "lengths": lengths}
        return Configuration(name, inputs, kwargs)

    def by_mask(
        name: str, masks: list[np.ndarray | None], mode: str
    ) -> Configuration:
        return Configuration(
            name,
            {"values": values},
            {"mode": mode, "supports_masking": True},
            masks,
            single_input=True,
        )

    lengths = Lengths(true_steps)
    return [
        by_lengths("default-lengths", lengths),
        by_lengths("sum-lengths", lengths, mode="sum"),
        by_lengths("mean-lengths", lengths, mode="mean"),
        by_lengths("max-lengths", lengths, mode="max"),
        by_lengths(
            "mean-float-lengths", Lengths(true_steps, "float32"), mode="mean"
        ),
        by_lengths("sum-past-the-end", Lengths((8, 3, 1, 6)), mode="sum"),
        by_lengths("max-past-the-end", Lengths((8, 3, 1, 6)), mode="max"),
        by_mask("sum-mask", prefix, "sum"),
        by_mask("mean-mask", prefix, "mean"),
        by_mask("max-mask", prefix, "max"),
        by_mask("sum-mask-holes", holes, "sum"),
        by_mask("mean-mask-holes", holes, "mean"),
        by_mask("max-mask-holes", holes, "max"),
    ]


def weighted_table() -> list[Configuration]:
    batch, steps, dim = 4, 5, 3
    keys = Features((batch, steps, dim))
    weights = Features((batch, steps, 1))
    true_steps = (5, 3, 1, 4)
    prefix = mask(true_steps, steps)
    holes = with_holes(steps, (), (0, 2), (0, 1, 2, 3), (4,))

    def by_lengths(
        name: str, dtype: str = "int32", **kwargs: Any
    ) -> Configuration:
        lengths = Lengths(true_steps, dtype)
        inputs = {"keys": keys, "lengths": lengths, "weights": weights}
        return Configuration(name, inputs, kwargs)

    def by_mask(
        name: str, key_mask: np.ndarray, normalized: bool
    ) -> Configuration:
        return Configuration(
            name,
            {"keys": keys, "weights": weights},
            {"weight_normalization": normalized, "supports_masking": True},
            [key_mask, None],
        )

    return [
        by_lengths("default-lengths"),
        by_lengths("normalized-lengths", weight_normalization=True),
        by_lengths("raw-lengths", weight_normalization=False),
        by_lengths(
            "normalized-float-lengths", "float32", weight_normalization=True
        ),
        by_mask("normalized-mask", prefix, True),
        by_mask("raw-mask", prefix, False),
        by_mask("normalized-mask-holes", holes, True),
        by_mask("raw-mask-holes", holes, False),
    ]


PRELU = {"layer_class": "PReLU"}


def attention_table() -> list[Configuration]:
    batch, steps, dim = 4, 5, 3
    query = Features((batch, 1, dim))
    keys = Features((batch, steps, dim))
    true_steps = (5, 3, 1, 4)
    full = (steps,) * batch
    prefix = mask(true_steps, steps)
    holes = with_holes(steps, (), (0, 2), (0, 1, 2, 3), (4,))

    def by_lengths(
        name: str,
        lengths: Lengths = Lengths(true_steps),
        training: bool | None = None,
        **kwargs: Any,
    ) -> Configuration:
        inputs = {"query": query, "keys": keys, "lengths": lengths}
        return Configuration(name, inputs, kwargs, training=training)

    def by_mask(
        name: str,
        key_mask: np.ndarray,
        training: bool | None = None,
        **kwargs: Any,
    ) -> Configuration:
        return Configuration(
            name,
            {"query": query, "keys": keys},
            {**kwargs, "supports_masking": True},
            [None, key_mask],
            training,
        )

    one: dict[str, Any] = {"att_hidden_units": [4]}
    two: dict[str, Any] = {"att_hidden_units": [4, 3]}
    three: dict[str, Any] = {"att_hidden_units": [4, 3, 2]}
    dice: dict[str, Any] = {"att_activation": "dice"}
    softmax: dict[str, Any] = {"weight_normalization": True}
    score: dict[str, Any] = {"return_score": True}
    return [
        by_lengths("sigmoid-lengths", **two),
        by_lengths("sigmoid-softmax-lengths", **two, **softmax),
        by_lengths("sigmoid-score-lengths", **one, **score),
        by_lengths("sigmoid-softmax-score-lengths", **one, **softmax, **score),
        by_lengths("no-hidden-lengths", att_hidden_units=[]),
        by_lengths("three-hidden-lengths", **three),
        by_lengths(
            "relu-lengths", att_hidden_units=[6, 4], att_activation="relu"
        ),
        by_lengths(
            "tanh-softmax-lengths", **three, **softmax, att_activation="tanh"
        ),
        by_lengths("prelu-lengths", **two, att_activation=PRELU),
        by_lengths(
            "float-lengths", Lengths(true_steps, "float32"), **one, **softmax
        ),
        by_lengths("past-the-end", Lengths((8, 3, 1, 6)), **one),
        by_lengths("dice-lengths", training=False, **two, **dice),
        by_lengths(
            "dice-softmax-lengths", training=False, **one, **dice, **softmax
        ),
        # DeepCTR's batch statistics count padded steps, so that the rows
        # are full wherever it trains.
        by_lengths("dice-training", Lengths(full), True, **two, **dice),
        by_lengths(
            "dice-softmax-training",
            Lengths(full),
            True,
            **one,
            **dice,
            **softmax,
        ),
        by_lengths(
            "dice-score-training",
            Lengths(full),
            True,
            **one,
            **dice,
            **score,
        ),
        by_mask("sigmoid-mask", prefix, **one),
        by_mask("sigmoid-softmax-mask-holes", holes, **one, **softmax),
        by_mask("relu-mask-holes", holes, **one, att_activation="relu"),
        by_mask("tanh-score-mask", prefix, **one, **score),
        by_mask("softmax-score-mask-holes", holes, **one, **softmax, **score),
        by_mask("prelu-softmax-mask", prefix, **one, att_activation=PRELU),
        by_mask("dice-softmax-mask", prefix, False, **one, **dice, **softmax),
        by_mask("dice-training-mask", mask(full, steps), True, **one, **dice),
    ]


def bilstm_table() -> list[Configuration]:
    batch, steps, dim, units = 3, 4, 2, 3
    prefix = mask((4, 2, 1), steps)
    holes = with_holes(steps, (), (0, 2), (1, 3))

    def row(
        name: str,
        training: bool | None = None,
        step_mask: np.ndarray | None = None,
        input_dim: int = dim,
        **kwargs: Any,
    ) -> Configuration:
        return Configuration(
            name,
            {"inputs": Features((batch, steps, input_dim))},
            {"units": units, **kwargs},
            None if step_mask is None else [step_mask],
            training,
            single_input=True,
            counted=step_mask,
        )

    one: dict[str, Any] = {"layers": 1, "dropout_rate": 0.0}
    two: dict[str, Any] = {"layers": 2, "dropout_rate": 0.0}
    three: dict[str, Any] = {"layers": 3, "dropout_rate": 0.0}
    return [
        row("defaults", training=False),
        row("fw", **one, merge_mode="fw"),
        row("bw", **one, merge_mode="bw"),
        row("concat", **one, merge_mode="concat"),
        row("sum", **one, merge_mode="sum"),
        row("ave", **one, merge_mode="ave"),
        row("mul", **one, merge_mode="mul"),
        row("unmerged", **one, merge_mode=None),
        row("two-layers-concat-training", True, **two, merge_mode="concat"),
        row("three-layers", **three),
        row("residual-last", **two, res_layers=1),
        row("residual-all", input_dim=units, **two, res_layers=2),
        row("dropout-off", False, layers=1, dropout_rate=0.5),
        row("mask", step_mask=prefix, **one, merge_mode="concat"),
        row("mask-holes", step_mask=holes, **one, merge_mode="concat"),
        row("two-layers-mask", step_mask=prefix, **two, merge_mode="sum"),
        row("residual-last-mask", step_mask=prefix, **two, res_layers=1),
    ]


def transformer_table() -> list[Configuration]:
    batch, steps, dim = 3, 4, 6
    query_steps = (4, 1, 3)
    key_steps = (3, 2, 4)
    short_key_steps = (3, 1, 4)
    query_mask = mask(query_steps, steps)
    key_mask = mask(key_steps, steps)
    short_key_mask = mask(short_key_steps, steps)
    holes = with_holes(steps, (0, 2), (1,), ())

    def by_lengths(
        name: str,
        keys: tuple[int, ...] = key_steps,
        dtype: str = "int32",
        training: bool | None = None,
        width: int = dim,
        **kwargs: Any,
    ) -> Configuration:
        values = Features((batch, steps, width))
        inputs = {
            "queries": values,
            "keys": values,
            "query_lengths": Lengths(query_steps, dtype),
            "key_lengths": Lengths(keys, dtype),
        }
        pooled = kwargs.get("output_type", "mean") is not None
        return Configuration(
            name,
            inputs,
            kwargs,
            training=training,
            counted=None if pooled else query_mask,
        )

    def by_mask(
        name: str, queries: np.ndarray, keys: np.ndarray, **kwargs: Any
    ) -> Configuration:
        inputs: dict[str, Features | Lengths] = {
            "queries": Features((*queries.shape, dim)),
            "keys": Features((*keys.shape, dim)),
        }
        return Configuration(
            name,
            inputs,
            {**kwargs, "supports_masking": True},
            [queries, keys],
            counted=queries if kwargs.get("output_type", "") is None else None,
        )

    heads: dict[str, Any] = {"att_embedding_size": 3, "head_num": 2}
    # Attention alone: without the weights that every case would repeat.
    attention: dict[str, Any] = {
        **heads,
        "use_positional_encoding": False,
        "use_res": False,
        "use_feed_forward": False,
        "output_type": None,
    }
    seen: dict[str, Any] = {"blinding": False}
    cos: dict[str, Any] = {"attention_type": "cos"}
    ln: dict[str, Any] = {"attention_type": "ln"}
    additive: dict[str, Any] = {"attention_type": "additive"}
    short = short_key_steps
    return [
        by_lengths("defaults", width=8),
        by_lengths("scaled-dot", **attention),
        by_lengths("cos", **attention, **cos),
        by_lengths("ln", **attention, **ln),
        by_lengths("additive", **attention, **additive),
        by_lengths("scaled-dot-seen", short, **attention, **seen),
        by_lengths("cos-seen", short, **attention, **seen, **cos),
        by_lengths("ln-seen", short, **attention, **seen, **ln),
        by_lengths("additive-seen", short, **attention, **seen, **additive),
        by_lengths("float-lengths", dtype="float32", **attention),
        by_lengths("mean", **{**attention, "output_type": "mean"}),
        by_lengths("sum", **{**attention, "output_type": "sum"}),
        by_lengths(
            "position", **{**attention, "use_positional_encoding": True}
        ),
        by_lengths("residual", **{**attention, "use_res": True}),
        # Without the residual, DeepCTR drops what the feed forward gives.
        by_lengths(
            "feed-forward-no-residual",
            **{**attention, "use_feed_forward": True},
        ),
        by_lengths("layer-norm", **attention, use_layer_norm=True),
        by_lengths(
            "one-head",
            **{**attention, "att_embedding_size": 6, "head_num": 1},
        ),
        by_lengths(
            "dropout-off",
            training=False,
            **heads,
            dropout_rate=0.5,
            seed=7,
        ),
        by_lengths(
            "bst",
            short,
            **heads,
            **seen,
            use_layer_norm=True,
            output_type=None,
        ),
        by_mask("scaled-dot-mask", query_mask, key_mask, **attention),
        by_mask("cos-mask-holes", query_mask, holes, **attention, **cos),
        by_mask("ln-mask", query_mask, key_mask, **attention, **ln),
        by_mask(
            "additive-seen-mask-holes",
            holes,
            short_key_mask,
            **attention,
            **seen,
            **additive,
        ),
        by_mask(
            "dsin-mask",
            query_mask,
            key_mask,
            **heads,
            use_positional_encoding=False,
        ),
        by_mask("fewer-queries-mask", query_mask[:, :3], key_mask, **attention),
        by_mask(
            "fewer-keys-seen-mask",
            query_mask,
            short_key_mask[:, :3],
            **heads,
            **seen,
            use_feed_forward=False,
            output_type="sum",
        ),
    ]


def position_table() -> list[Configuration]:
    inputs = {"inputs": Features((3, 4, 5))}

    def row(
        name: str, initial_weights: bool = False, **kwargs: Any
    ) -> Configuration:
        return Configuration(
            name,
            inputs,
            kwargs,
            single_input=True,
            initial_weights=initial_weights,
        )

    fixed: dict[str, Any] = {"pos_embedding_trainable": False}
    return [
        row("defaults"),
        row("fixed", **fixed),
        row("zero-pad", zero_pad=True),
        row("no-scale", scale=False),
        row("fixed-zero-pad-no-scale", **fixed, zero_pad=True, scale=False),
        row("initial-table", True, **fixed),
        row("initial-table-zero-pad", True, zero_pad=True),
    ]


def bias_table() -> list[Configuration]:
    def row(name: str, sessions: int, **kwargs: Any) -> Configuration:
        values = Features((3, 4, 5))
        return Configuration(
            name,
            {f"session_{i}": values for i in range(sessions)},
            {"sess_max_count": sessions, **kwargs},
        )

    return [
        row("two-sessions", 2),
        row("three-sessions", 3),
        row("two-sessions-seed", 2, seed=7),
    ]


def gru_table() -> list[Configuration]:
    batch, steps, dim, units = 4, 5, 3, 2
    keys = Features((batch, steps, dim))
    scores = Scores((batch, steps, 1))
    true_steps = (5, 3, 1, 4)

    def row(
        name: str, gru_type: str, dtype: str = "int32", **kwargs: Any
    ) -> Configuration:
        inputs: dict[str, Features | Lengths] = {
            "keys": keys,
            "lengths": Lengths(true_steps, dtype),
        }
        if gru_type in ("AGRU", "AUGRU"):
            inputs["scores"] = scores
        return Configuration(name, inputs, {"gru_type": gru_type, **kwargs})

    last: dict[str, Any] = {"return_sequence": False}
    narrow: dict[str, Any] = {"num_units": units}
    return [
        row("gru-sequence", "GRU"),
        row("gru-last", "GRU", **last),
        row("gru-sequence-units", "GRU", **narrow),
        row("gru-last-units", "GRU", **last, **narrow),
        row("gru-float-lengths", "GRU", "float32", **narrow),
        row("aigru-sequence", "AIGRU"),
        row("aigru-last", "AIGRU", **last),
        row("aigru-sequence-units", "AIGRU", **narrow),
        row("aigru-last-units", "AIGRU", **last, **narrow),
        row("agru-sequence", "AGRU"),
        row("agru-last", "AGRU", **last),
        row("agru-sequence-units", "AGRU", **narrow),
        row("agru-last-units", "AGRU", **last, **narrow),
        row("augru-sequence", "AUGRU"),
        row("augru-last", "AUGRU", **last),
        row("augru-sequence-units", "AUGRU", **narrow),
        row("augru-last-units", "AUGRU", **last, **narrow),
    ]


def k_max_table() -> list[Configuration]:
    def row(name: str, shape: tuple[int, ...], **kwargs: Any) -> Configuration:
        return Configuration(
            name, {"inputs": Features(shape)}, kwargs, single_input=True
        )

    return [
        row("default-k", (4, 5, 3), axis=1),
        row("steps", (4, 5, 3), k=2, axis=1),
        row("features", (4, 5, 3), k=2, axis=2),
        row("all-steps", (4, 5, 3), k=5, axis=1),
        row("two-dimensions", (4, 5), k=3, axis=1),
        row("four-dimensions", (2, 3, 4, 5), k=2, axis=2),
    ]


def local_activation_table() -> list[Configuration]:
    batch, steps, dim = 4, 5, 3
    inputs = {
        "query": Features((batch, 1, dim)),
        "keys": Features((batch, steps, dim)),
    }

    def row(
        name: str,
        hidden_units: list[int],
        training: bool | None = None,
        **kwargs: Any,
    ) -> Configuration:
        return Configuration(
            name,
            inputs,
            {"hidden_units": hidden_units, **kwargs},
            training=training,
        )

    return [
        row("sigmoid", [4, 3]),
        row("no-hidden", []),
        row("tanh-three-hidden", [4, 3, 2], activation="tanh"),
        row("prelu", [4], activation=PRELU),
        row("dice", [4, 3], False, activation="dice"),
        row("dice-training", [4], True, activation="dice"),
        row("batch-norm", [4, 3], False, activation="relu", use_bn=True),
        row("batch-norm-training", [4], True, use_bn=True),
        row("dice-batch-norm", [4], True, activation="dice", use_bn=True),
        row("dropout-off", [4], False, dropout_rate=0.5, l2_reg=0.01, seed=7),
    ]


def dnn_table() -> list[Configuration]:
    flat, sequence = (5, 3), (4, 5, 3)

    def row(
        name: str,
        shape: tuple[int, ...],
        hidden_units: list[int],
        training: bool | None = None,
        **kwargs: Any,
    ) -> Configuration:
        return Configuration(
            name,
            {"inputs": Features(shape)},
            {"hidden_units": hidden_units, **kwargs},
            training=training,
            single_input=True,
        )

    return [
        row("relu", flat, [4, 2]),
        row("relu-sequence", sequence, [4, 2]),
        row("tanh-three-layers", flat, [4, 3, 2], activation="tanh"),
        row("output-sigmoid", flat, [4, 2], output_activation="sigmoid"),
        row("output-dice", flat, [4, 2], True, output_activation="dice"),
        row("prelu-sequence", sequence, [4], activation=PRELU),
        row("dice", flat, [4, 2], False, activation="Dice"),
        row("dice-training", sequence, [4, 2], True, activation="dice"),
        row("batch-norm", flat, [4, 2], False, use_bn=True),
        row("batch-norm-training", flat, [4, 2], True, use_bn=True),
        row("batch-norm-sequence", sequence, [4], True, use_bn=True),
        row("dice-batch-norm", flat, [4], True, activation="dice", use_bn=True),
        row(
            "dropout-off",
            flat,
            [4],
            False,
            dropout_rate=0.5,
            l2_reg=0.01,
            seed=7,
        ),
    ]


def dice_table() -> list[Configuration]:
    def row(
        name: str, shape: tuple[int, ...], training: bool, **kwargs: Any
    ) -> Configuration:
        return Configuration(
            name,
            {"inputs": Features(shape)},
            kwargs,
            training=training,
            single_input=True,
        )

    flat, sequence = (5, 3), (4, 5, 3)
    return [
        row("flat", flat, False),
        row("flat-training", flat, True),
        row("sequence", sequence, False),
        row("sequence-training", sequence, True),
        row("epsilon", flat, False, epsilon=0.1),
        row("epsilon-training", sequence, True, epsilon=0.1),
        row("axis-one", sequence, False, axis=1),
        row("axis-one-training", sequence, True, axis=1),
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
