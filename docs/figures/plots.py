"""What layers do, in numbers: each plot's from a run, and how they are drawn.

A plot is a pair of functions: one runs the layer and gives arrays by name, the
other draws these and nothing else.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from keras import ops
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from kseq.agreement.numbers import seed_weights
from kseq.layers import (
    AttentionSequencePoolingLayer,
    BiLSTM,
    Dice,
    DynamicGRU,
    KMaxPooling,
    PositionEncoding,
    SequencePoolingLayer,
)
from kseq.ops import multi_head_attention

Numbers = dict[str, Any]

BLUE, ORANGE, GREEN, PURPLE, GREY = (
    "#2f6db3",
    "#d97706",
    "#3b8a4c",
    "#8e44ad",
    "#9a9a9a",
)


class Plot(NamedTuple):
    run: Callable[[], Numbers]
    draw: Callable[[Figure, Numbers], None]
    size: tuple[float, float]


def numpy(x: Any) -> Any:
    return np.asarray(ops.convert_to_numpy(x))


def dot_product_attention(softmax: bool) -> AttentionSequencePoolingLayer:
    """DIN's pooling whose score is the dot product: of four parts the last."""
    layer = AttentionSequencePoolingLayer((), weight_normalization=softmax)
    layer.build([(1, 2, 2), (1, 8, 2), (1,)])
    kernel = np.zeros((8, 1), "float32")
    kernel[-2:] = 1
    layer.set_weights([kernel, np.zeros(1, "float32")])
    return layer


def run_din() -> Numbers:
    drama, comedy = [1.5, 0.0], [0.0, 1.5]
    both = [0.9, 0.9]
    history = [drama, comedy, comedy, both, drama, comedy, drama, drama]
    x = np.array([history], "float32")
    q = np.array([[drama, comedy]], "float32")
    n = np.array([6])
    numbers = {}
    for name, softmax in (("scores", False), ("softmax", True)):
        layer = dot_product_attention(softmax)
        _, weights = layer([q, x, n], return_attention_scores=True)
        numbers[name] = numpy(weights)[0]
        # Of histories of one to eight dramas, how much drama is found.
        dramas = np.array([[drama] * 8] * 8, "float32")
        asked = np.array([[drama]] * 8, "float32")
        found = layer([asked, dramas, np.arange(1, 9)])
        numbers[f"found by {name}"] = numpy(found)[:, 0, 0]
    return numbers


def draw_din(figure: Figure, numbers: Numbers) -> None:
    axes = figure.subplots(1, 3, width_ratios=(1, 1, 0.9))
    for ax, name in zip(axes, ("scores", "softmax"), strict=False):
        _heat(ax, numbers[name])
        ax.set(title=f"weights: {name}", xlabel="step (7, 8: padding)")
        ax.set_xticks(range(8), "dccbdcdd")
        ax.set_yticks([0, 1], ["drama", "comedy"])
    axes[1].set_yticks([])
    ax = axes[2]
    for name, colour in (("scores", BLUE), ("softmax", ORANGE)):
        ax.plot(
            range(1, 9),
            numbers[f"found by {name}"],
            "o-",
            color=colour,
            label=name,
            markersize=3,
        )
    ax.set(title="drama found", xlabel="dramas in the history")
    ax.legend(frameon=False)


SCORES = [0, 0, 1, 1, 0, 0, 0.3, 0.3, 0, 0, 1, 0, 0, 0]
KINDS = (
    ("GRU", "GRU", "deepctr", GREY),
    ("AIGRU", "AIGRU", "deepctr", GREEN),
    ("AGRU", "AGRU", "deepctr", PURPLE),
    ("AUGRU", "AUGRU", "deepctr", BLUE),
    ("AUGRU, paper", "AUGRU", "paper", ORANGE),
)


def run_gru() -> Numbers:
    steps = len(SCORES)
    scores = np.array(SCORES, "float32")[None, :, None]
    x = np.where(np.arange(steps) < 9, 1.0, -1.0)[None, :, None]
    x = x.astype("float32")
    numbers: Numbers = {"x": x[0, :, 0], "scores": scores[0, :, 0]}
    for label, kind, form, _ in KINDS:
        layer = DynamicGRU(1, kind, augru_form=form)
        inputs = [x * scores if kind == "AIGRU" else x, np.array([steps])]
        if kind in ("AGRU", "AUGRU"):
            inputs.append(scores)
        layer(inputs)
        # u is 0.62 always, and c is tanh(2 x): no more than the kinds differ.
        zeros = np.zeros((2, 2), "float32")
        gates = np.array([0, 0.5], "float32")
        candidate = np.array([[2], [0]], "float32")
        layer.set_weights([zeros, gates, candidate, np.zeros(1, "float32")])
        numbers[label] = numpy(layer(inputs))[0, :, 0]
    return numbers


def draw_gru(figure: Figure, numbers: Numbers) -> None:
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 3))
    steps = range(1, len(numbers["scores"]) + 1)
    above.bar(steps, numbers["scores"], color="#c9c9c9", label="score $a_t$")
    above.step(
        steps, numbers["x"], where="mid", color="black", label="input $x_t$"
    )
    above.axhline(0, color="#bbbbbb", linewidth=0.6)
    above.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    below.axhline(0, color="#bbbbbb", linewidth=0.6)
    marks = "os^Dv"
    for (label, *_, colour), mark in zip(KINDS, marks, strict=True):
        below.plot(
            steps,
            numbers[label],
            f"{mark}-",
            color=colour,
            label=label,
            markersize=3.5,
        )
    below.set(xlabel="step $t$", ylabel="state $h_t$")
    below.set_xticks(steps)
    below.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))


def run_positions() -> Numbers:
    layer = PositionEncoding(scale=False)
    table = numpy(layer(np.zeros((1, 50, 32), "float32")))[0]
    return {"table": table, "products": table @ table[20]}


def draw_positions(figure: Figure, numbers: Numbers) -> None:
    left, right = figure.subplots(1, 2, width_ratios=(1.2, 1))
    image = _heat(left, numbers["table"], "RdBu_r", vmin=-1, vmax=1)
    figure.colorbar(image, ax=left, shrink=0.8)
    left.set(title="$p_{t,i}$", xlabel="feature $i$", ylabel="position $t$")
    right.plot(numbers["products"], color=BLUE)
    right.axvline(20, color=GREY, linewidth=0.8, linestyle=":")
    right.set(title="$p_t \\cdot p_{20}$", xlabel="position $t$")


def run_k_max() -> Numbers:
    x = np.array([2, 5, -1, 3, 4, 1, 7, 6], "float32")[None, :, None]
    x = np.concatenate([x, x])
    top = KMaxPooling(3)([x, np.array([6, 2])])
    return {"x": x[0, :, 0], "top": numpy(top)[:, :, 0]}


def draw_k_max(figure: Figure, numbers: Numbers) -> None:
    x = numbers["x"]
    axes = figure.subplots(1, 4, sharey=True, width_ratios=(8, 3, 8, 3))
    for i, n in enumerate((6, 2)):
        steps, top = axes[2 * i : 2 * i + 2]
        found = numbers["top"][i]
        for t, value in enumerate(x):
            wins = t < n and value in found
            steps.bar(
                t + 1,
                value,
                color=BLUE if wins else "#b9cfe8" if t < n else "white",
                edgecolor=GREY if t >= n else "none",
                hatch="///" if t >= n else None,
                linewidth=0.6,
            )
        steps.set(title=f"length {n}", xlabel="step (hatched: padding)")
        steps.set_xticks(range(1, 9))
        top.bar(range(1, 4), found, color=GREEN)
        top.set(title="k = 3", xlabel="place")
        top.set_xticks(range(1, 4))
        for ax in (steps, top):
            ax.axhline(0, color="#bbbbbb", linewidth=0.6)


DICES = ((0.0, 1.0), (1.0, 1.0), (0.0, 0.04))


def run_dice() -> Numbers:
    x = np.linspace(-3, 3, 61).astype("float32")[:, None]
    numbers: Numbers = {"x": x[:, 0]}
    for mean, variance in DICES:
        layer = Dice()
        layer(x)
        layer.set_weights([np.array([v]) for v in (0.25, mean, variance)])
        label = f"$\\mu = {mean:g}$, $\\sigma^2 = {variance:g}$"
        numbers[label] = numpy(layer(x))[:, 0]
    return numbers


def draw_dice(figure: Figure, numbers: Numbers) -> None:
    ax = figure.subplots()
    ax.axhline(0, color="#bbbbbb", linewidth=0.6)
    ax.axvline(0, color="#bbbbbb", linewidth=0.6)
    x = np.asarray(numbers["x"])
    labels = [name for name in numbers if name != "x"]
    for label, colour in zip(labels, (BLUE, ORANGE, GREEN), strict=True):
        ax.plot(x, numbers[label], color=colour, label=label)
    prelu = np.where(x > 0, x, 0.25 * x)
    ax.plot(x, prelu, color=GREY, linestyle=":", label="PReLU")
    ax.set(xlabel="$x$", ylabel="$y$", title="$\\alpha = 0.25$")
    ax.legend(frameon=False)


TYPES = ("scaled_dot_product", "cos", "ln", "additive")


def run_attention() -> Numbers:
    draw = np.random.default_rng(3).normal
    q = draw(size=(1, 1, 6, 6)).astype("float32")
    k = (q + 0.7 * draw(size=q.shape)).astype("float32")
    valid = np.arange(6)[None] < 5
    one, zero = ops.ones(6), ops.zeros(6)
    weights = {"ln": (one, zero, one, zero), "additive": (zero, one)}
    # Of values that are the rows of an identity, the weights are the result.
    values = np.eye(6, dtype="float32")[None, None]
    return {
        kind: numpy(
            multi_head_attention(
                q,
                k,
                values,
                valid,
                kind,
                weights.get(kind, ()),
                blinding=True,
                query_valid=valid,
            )
        )[0, 0]
        for kind in TYPES
    }


def draw_attention(figure: Figure, numbers: Numbers) -> None:
    axes = figure.subplots(1, 4, sharey=True)
    for ax, kind in zip(axes, TYPES, strict=True):
        image = _heat(ax, numbers[kind], vmin=0, vmax=1)
        ax.set_aspect("equal")
        ax.set(title=kind, xlabel="key")
        ax.set_xticks(range(6), range(1, 7))
        ax.set_yticks(range(6), range(1, 7))
    axes[0].set_ylabel("query")
    figure.colorbar(image, ax=axes, shrink=0.7)


def run_bilstm() -> Numbers:
    x = np.random.default_rng(0).normal(size=(1, 8, 3)).astype("float32")
    # One history in which nothing, and eight in which one step is changed.
    batch = np.repeat(x, 9, axis=0)
    batch[range(1, 9), range(8)] += 1.0
    numbers = {}
    for mode in ("fw", "bw", "ave"):
        layer = BiLSTM(4, layers=1, merge_mode=mode)
        lengths = np.full(9, 6)
        layer([batch, lengths])
        seed_weights(layer)
        y = numpy(layer([batch, lengths]))
        numbers[mode] = np.linalg.norm(y[1:] - y[0], axis=-1)
    return numbers


def draw_bilstm(figure: Figure, numbers: Numbers) -> None:
    axes = figure.subplots(1, 3, sharey=True)
    top = max(np.max(numbers[mode]) for mode in numbers)
    for ax, mode in zip(axes, numbers, strict=True):
        # Square roots in colour: what comes from afar is small.
        image = _heat(ax, numbers[mode], norm=PowerNorm(0.5, 0, top))
        ax.set_aspect("equal")
        ax.set(title=f"'{mode}'", xlabel="step of the output")
        ax.set_xticks(range(8), range(1, 9))
        ax.set_yticks(range(8), range(1, 9))
    axes[0].set_ylabel("step that was changed\n(7, 8: padding)")
    figure.colorbar(image, ax=axes, shrink=0.8, label="change")


def run_pooling() -> Numbers:
    x = np.array([1.0, 3.0, -2.0, 0.5, 4.0, -1.0, 1.5, 2.0], "float32")
    batch = np.repeat(x[None, :, None], 9, axis=0)
    numbers: Numbers = {"x": x}
    for mode in ("sum", "mean", "max"):
        pooled = SequencePoolingLayer(mode)([batch, np.arange(9)])
        numbers[mode] = numpy(pooled)[:, 0, 0]
    return numbers


def draw_pooling(figure: Figure, numbers: Numbers) -> None:
    ax = figure.subplots()
    ax.axhline(0, color="#bbbbbb", linewidth=0.6)
    ax.bar(range(1, 9), numbers["x"], color="#d5dfea", label="step $n$")
    for mode, colour, mark in zip(
        ("sum", "mean", "max"), (BLUE, ORANGE, GREEN), "os^", strict=True
    ):
        ax.plot(
            range(9),
            numbers[mode],
            f"{mark}-",
            color=colour,
            label=f'"{mode}"',
            markersize=4,
        )
    ax.set(xlabel="length $n$", ylabel="value")
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))


def _heat(
    ax: Axes,
    values: Any,
    colours: str = "Blues",
    **scale: Any,
) -> Any:
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    return ax.imshow(
        np.asarray(values),
        cmap=colours,
        **scale or {"vmin": 0},
        interpolation="none",
        aspect="auto",
    )


# By the name of the layer's page.
PLOTS = {
    "attention_sequence_pooling_layer": Plot(run_din, draw_din, (7.6, 2.2)),
    "bilstm": Plot(run_bilstm, draw_bilstm, (7.6, 2.7)),
    "dice": Plot(run_dice, draw_dice, (4.6, 3.0)),
    "dynamic_gru": Plot(run_gru, draw_gru, (7.6, 3.8)),
    "k_max_pooling": Plot(run_k_max, draw_k_max, (7.6, 2.2)),
    "position_encoding": Plot(run_positions, draw_positions, (7.6, 2.9)),
    "sequence_pooling_layer": Plot(run_pooling, draw_pooling, (6.2, 2.6)),
    "transformer": Plot(run_attention, draw_attention, (7.6, 2.3)),
}
