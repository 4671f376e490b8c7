"""Draws a layer, its arguments, shapes, histories and numbers."""

import keras
import numpy as np
from hypothesis import strategies as st
from keras import ops

from kseq.layers import (
    AttentionSequencePoolingLayer,
    BiasEncoding,
    BiLSTM,
    DynamicGRU,
    KMaxPooling,
    PositionEncoding,
    SequencePoolingLayer,
    Transformer,
    WeightedSequenceLayer,
)
from kseq.layers.core import (
    DNN,
    AuxiliaryLoss,
    BatchNormalization,
    Dice,
    LayerNormalization,
    LocalActivationUnit,
    PredictionLayer,
)
from tests.fuzz.draws import EMPTY, STEPS
from tests.reference import attention as ref_attention
from tests.reference import pooling as ref_pooling
from tests.reference import recurrence as ref_recurrence
from tests.reference import transformer as ref_transformer
from tests.reference.masks import select

ACTIVATIONS = ("sigmoid", "relu", "tanh", "dice", "prelu")
HIDDEN = ((), (4,), (3, 2))
MAX_STEPS = 20
MODES = ("sum", "mean", "max")


def pooling(d):
    steps, mode = d.sequence("x", d.one_of((1, 2, 5, 7, 300))), d.one_of(MODES)
    return d.drawn(
        lambda: SequencePoolingLayer(mode, supports_masking=not d.told_lengths),
        {"x": d.numbers(d.batch, steps, d.dim)},
        lambda f, v, _: ref_pooling.pool(f["x"], v["x"], mode),
        {1: "x"},
    )


def weighted(d):
    steps, normalize = d.sequence("x"), d.flag()
    shape = (d.batch, steps, 1) if d.flag() else (d.batch, steps)
    return d.drawn(
        lambda: WeightedSequenceLayer(
            normalize, supports_masking=not d.told_lengths
        ),
        {"x": d.numbers(d.batch, steps, d.dim), "weights": d.weights(*shape)},
        lambda f, v, _: ref_pooling.weighted(
            f["x"], f["weights"], v["x"], normalize
        ),
        {1: "x"},
        steps_of={"weights": "x"},
        steps_at=((1, "x"),),
    )


def k_max(d):
    steps, axis = d.sequence("x"), d.one_of((1, 2, -1, -2))
    over_steps = axis in (1, -2)
    k = d.draw(st.integers(1, steps if over_steps else d.dim))
    return d.drawn(
        lambda: KMaxPooling(k, axis),
        {"x": d.numbers(d.batch, steps, d.dim)},
        lambda f, v, _: ref_pooling.k_max(f["x"], k, axis % 3, v["x"]),
        {1: "x"},
        steps_at=(None if over_steps else (1, "x"),),
    )


def scorer(d):
    """The arguments of DIN's scorer, and of its reference."""
    hidden, activation = d.one_of(HIDDEN), d.one_of(ACTIVATIONS)
    training = d.trains()
    made = (
        keras.layers.PReLU(shared_axes=[1])
        if activation == "prelu"
        else activation
    )
    options = {
        "activation": activation,
        "hidden": len(hidden),
        "training": training,
    }
    statistics = training and activation == "dice" and bool(hidden)
    return hidden, made, options, not statistics


def attention(d):
    steps, candidates = d.sequence("x"), d.one_of((1, 3))
    hidden, activation, options, rows_apart = scorer(d)
    normalize, give = d.flag(), d.one_of(("output", "scores", "both"))

    def reference(f, v, weights):
        output, scores = ref_attention.attention_pooling(
            f["query"], f["x"], v["x"], weights, normalize, **options
        )
        return {"output": output, "scores": scores}.get(give, [output, scores])

    call = {"training": options["training"]}
    if give == "both":
        call["return_attention_scores"] = True
    at = {"output": (None,), "scores": ((2, "x"),)}
    return d.drawn(
        lambda: AttentionSequencePoolingLayer(
            hidden, activation, normalize, give == "scores", not d.told_lengths
        ),
        {
            "query": d.numbers(d.batch, candidates, d.dim),
            "x": d.numbers(d.batch, steps, d.dim),
        },
        reference,
        {2: "x"},
        call=call,
        steps_at=at.get(give, (None, (2, "x"))),
        rows_apart=rows_apart,
        degree=3,
    )


def local_activation_unit(d):
    steps, candidates = d.sequence("x"), d.one_of((1, 3))
    hidden, activation, options, rows_apart = scorer(d)

    def reference(f, v, weights):
        keys = select(v["x"][..., None], f["x"])
        scores = ref_attention.scores(
            f["query"], keys, v["x"], weights, **options
        )
        return np.swapaxes(scores, 1, 2)

    return d.drawn(
        lambda: LocalActivationUnit(hidden, activation),
        {
            "query": d.numbers(d.batch, candidates, d.dim),
            "x": d.numbers(d.batch, steps, d.dim),
        },
        reference,
        call={"training": options["training"]},
        steps_at=((1, "x"),),
        rows_apart=rows_apart,
        degree=2,
    )


def dense_shape(d):
    """`(batch, ..., dim)`, and a mask or none where there are steps."""
    rank = d.one_of((2, 3, 4))
    if rank == 2:
        return (d.batch, d.dim), ()
    shape = (d.batch, d.sequence("x"), *(2,) * (rank - 3), d.dim)
    if d.flag():
        d.valid.clear()
        return shape, (None,)
    return shape, ((1, "x"),)


def dnn(d):
    shape, steps_at = dense_shape(d)
    hidden, use_bn = d.one_of(HIDDEN), d.flag()
    names = ("sigmoid", "relu", "tanh", "dice", "linear")
    activation, last = d.one_of(names), d.one_of((None, *names))
    training = d.trains()
    activations = [activation] * len(hidden)
    if last and hidden:
        activations[-1] = last

    def reference(f, v, weights):
        x = f["x"]
        valid = np.ones(x.shape[:-1], bool)
        if "x" in v:
            valid &= v["x"].reshape(v["x"].shape + (1,) * (x.ndim - 3))
        n = len(hidden)
        weights = list(weights)
        kernels, biases = weights[:n], weights[n : 2 * n]
        of_bn = weights[2 * n : (6 if use_bn else 2) * n]
        rest = weights[2 * n + len(of_bn) :]

        def moments(x, moving):
            if training:
                return ref_attention.statistics(x, valid)
            return moving

        x = select(valid[..., None], x)
        for i, name in enumerate(activations):
            x = x @ kernels[i] + biases[i]
            if use_bn:
                gamma, beta, *moving = of_bn[4 * i : 4 * i + 4]
                x = select(valid[..., None], x)
                mean, variance = moments(x, moving)
                x = ref_attention.normalize(x, mean, variance, 1e-3)
                x = gamma * x + beta
            if name == "dice":
                alpha, *moving, rest = *rest[:3], rest[3:]
                x = select(valid[..., None], x)
                x = ref_attention.dice(x, alpha, *moments(x, moving))
            else:
                x = NAMED[name](x)
        return x

    return d.drawn(
        lambda: DNN(hidden, activation, 0, 0, use_bn, last),
        {"x": d.numbers(*shape)},
        reference,
        call={"training": training},
        steps_at=steps_at or (None,),
        rows_apart=not (training and (use_bn or "dice" in activations)),
        grows="x" in d.valid,
    )


NAMED = {
    "sigmoid": ref_attention.sigmoid,
    "relu": ref_attention.relu,
    "tanh": np.tanh,
    "linear": lambda x: x,
}


def normalization(d):
    steps, kind = d.sequence("x"), d.one_of((Dice, BatchNormalization))
    training = d.trains()

    def reference(f, v, weights):
        x = select(v["x"][..., None], f["x"])
        *own, mean, variance = weights
        if training:
            mean, variance = ref_attention.statistics(x, v["x"])
        if kind is Dice:
            return ref_attention.dice(x, own[0], mean, variance)
        gamma, beta = own
        return gamma * ref_attention.normalize(x, mean, variance, 1e-3) + beta

    return d.drawn(
        kind,
        {"x": d.numbers(d.batch, steps, d.dim)},
        reference,
        call={"training": training},
        steps_at=((1, "x"),),
        rows_apart=not training,
    )


def layer_normalization(d):
    shape, steps_at = dense_shape(d)
    epsilon = d.one_of((1e-9, 1e-3))

    def reference(f, v, weights):
        x = f["x"]
        if "x" in v:
            x = select(v["x"].reshape(v["x"].shape + (1,) * (x.ndim - 2)), x)
        return ref_transformer.layer_norm(x, *weights, epsilon)

    return d.drawn(
        lambda: LayerNormalization(epsilon),
        {"x": d.numbers(*shape)},
        reference,
        steps_at=steps_at or (None,),
        grows="x" in d.valid,
    )


def prediction(d):
    shape, _ = dense_shape(d)
    task, use_bias = d.one_of(("binary", "regression")), d.flag()
    d.valid.clear()

    def reference(f, _, weights):
        x = f["x"] + (weights[0] if use_bias else 0.0)
        return ref_attention.sigmoid(x) if task == "binary" else x

    return d.drawn(
        lambda: PredictionLayer(task, use_bias),
        {"x": d.numbers(*shape)},
        reference,
        masked=False,
        grows=False,
    )


@keras.saving.register_keras_serializable(package="tests")
class LossOf(AuxiliaryLoss):
    """The auxiliary loss as an output, beside the states."""

    def call(self, inputs, mask=None, training=None):
        states = super().call(inputs, mask=mask, training=training)
        return states, ops.reshape(self.told, (1,))

    def add_loss(self, loss):
        self.told = loss

    def compute_mask(self, inputs, mask=None):
        return super().compute_mask(inputs, mask), None

    def compute_output_shape(self, input_shape):
        return super().compute_output_shape(input_shape), (1,)


def auxiliary_loss(d):
    # Of one step there is no next one: products of nothing.
    steps = d.sequence("x", d.one_of(STEPS if EMPTY else STEPS[1:]))
    units = d.one_of((1, 3))
    hidden, activation = d.one_of(HIDDEN), d.one_of(("sigmoid", "tanh"))
    alpha = d.one_of((1.0, 0.25, 0.0))

    def reference(f, v, weights):
        n = len(hidden) + 1
        counts = v["x"][:, :-1] & v["x"][:, 1:]

        def logits(candidates):
            x = np.concatenate([f["x"][:, :-1], candidates[:, 1:]], axis=-1)
            x = select(counts[..., None], x)
            for i in range(n):
                x = x @ weights[i] + weights[n + i]
                x = NAMED[activation](x) if i < n - 1 else x
            return x[..., 0]

        def softplus(x):
            return select(x.real > 0, x) + np.log1p(
                np.exp(select(x.real > 0, -x, x))
            )

        each = softplus(-logits(f["clicks"])) + softplus(logits(f["negatives"]))
        loss = select(counts, each).sum() / max(counts.sum(), 1)
        return [f["x"], np.reshape(alpha * loss, (1,))]

    return d.drawn(
        lambda: LossOf(alpha, hidden, activation),
        {
            "x": d.numbers(d.batch, steps, units),
            "clicks": d.numbers(d.batch, steps, d.dim),
            "negatives": d.numbers(d.batch, steps, d.dim),
        },
        reference,
        {3: "x"},
        steps_of={"clicks": "x", "negatives": "x"},
        steps_at=((1, "x"), None),
        rows_apart=False,
        own_padding=True,
    )


def gru(d):
    steps, kind = d.sequence("x"), d.one_of(("GRU", "AIGRU", "AGRU", "AUGRU"))
    units, form = d.one_of((None, 2, 5)), d.one_of(("deepctr", "paper"))
    sequence, state_too = d.flag(), d.flag()
    attended = kind in ("AGRU", "AUGRU")
    features = {"x": d.numbers(d.batch, steps, d.dim)}
    if attended:
        features["scores"] = 1 / (1 + np.exp(-d.weights(d.batch, steps, 1)))

    def reference(f, v, weights):
        scores = f["scores"][..., 0] if attended else None
        outputs, state = ref_recurrence.gru(
            f["x"], v["x"], weights, scores, kind, form
        )
        outputs = outputs if sequence else state[:, None]
        return [outputs, state] if state_too else outputs

    at = (1, "x") if sequence else None
    return d.drawn(
        lambda: DynamicGRU(
            units, kind, sequence, augru_form=form, return_state=state_too
        ),
        features,
        reference,
        {1: "x"},
        steps_of={"scores": "x"},
        steps_at=(at, None) if state_too else (at,),
    )


def bilstm(d):
    steps, layers = d.sequence("x"), d.one_of((1, 2))
    merge = d.one_of(("fw", "bw", "sum", "mul", "ave", "concat", None))
    units = d.one_of((1, d.dim, 4))
    # What is added must be as wide as what it is added to.
    most = layers if units == d.dim else layers - 1
    res = d.draw(st.integers(0, most))
    return d.drawn(
        lambda: BiLSTM(units, layers, res, 0.0, merge),
        {"x": d.numbers(d.batch, steps, d.dim)},
        lambda f, v, w: ref_recurrence.bilstm(
            f["x"], v["x"], w, layers, res, merge
        ),
        {1: "x"},
        steps_at=((1, "x"),) * (1 if merge else 2),
        degree=2,
    )


def transformer(d):
    asked, steps = d.sequence("queries"), d.sequence("keys")
    heads, width = d.one_of(((1, 4), (2, 2), (4, 1)))
    kind = d.one_of(("scaled_dot_product", "cos", "ln", "additive"))
    if kind == "ln":
        # Normalised, one number is 0, and two are 1 and -1: a step, where
        # rounding decides.
        heads, width = 1, 4
    names = ("use_res", "use_feed_forward", "use_layer_norm", "blinding")
    flags = {name: d.flag() for name in names}
    positions = d.flag()
    output = d.one_of(("mean", "sum", "masked_mean", "masked_sum", None))
    dim = heads * width
    return d.drawn(
        lambda: Transformer(
            width,
            heads,
            use_positional_encoding=positions,
            supports_masking=not d.told_lengths,
            attention_type=kind,
            output_type=output,
            max_steps=MAX_STEPS,
            **flags,
        ),
        {
            "queries": d.numbers(d.batch, asked, dim),
            "keys": d.numbers(d.batch, steps, dim),
        },
        lambda f, v, w: ref_transformer.transformer(
            f["queries"],
            f["keys"],
            v["queries"],
            v["keys"],
            w,
            heads,
            kind,
            positions,
            flags["use_res"],
            flags["use_feed_forward"],
            flags["use_layer_norm"],
            flags["blinding"],
            output,
        ),
        {2: "queries", 3: "keys"},
        steps_at=((1, "queries") if output is None else None,),
        counts_padding=output in ("mean", "sum"),
    )


def position_encoding(d):
    steps, trainable, zero_pad = d.sequence("x"), d.flag(), d.flag()
    scale = d.flag()
    max_steps = d.one_of((None, MAX_STEPS))
    factor = d.dim**0.5 if scale else 1.0
    return d.drawn(
        lambda: PositionEncoding(trainable, zero_pad, scale, max_steps),
        {"x": d.numbers(d.batch, steps, d.dim)},
        lambda f, _, w: f["x"] + factor * w[0][:steps],
        steps_at=((1, "x"),),
        own_padding=True,
        any_steps=max_steps is not None,
    )


def bias_encoding(d):
    names = ["x", "y", "z"][: d.one_of((1, 2, 3))]
    steps = {name: d.sequence(name) for name in names}
    max_steps = d.one_of((None, MAX_STEPS))

    def reference(f, _, weights):
        of_session, of_step, of_item = weights
        found = [
            f[n] + of_session[i] + of_step[:, : f[n].shape[1]] + of_item
            for i, n in enumerate(names)
        ]
        return found

    return d.drawn(
        lambda: BiasEncoding(len(names), max_steps=max_steps),
        {n: d.numbers(d.batch, steps[n], d.dim) for n in names},
        reference,
        steps_at=tuple((1, n) for n in names),
        masked=False,
        own_padding=True,
        any_steps=max_steps is not None,
    )


LAYERS = (
    pooling,
    weighted,
    k_max,
    attention,
    local_activation_unit,
    dnn,
    normalization,
    layer_normalization,
    prediction,
    auxiliary_loss,
    gru,
    bilstm,
    transformer,
    position_encoding,
    bias_encoding,
)

# Those that take lengths, or masks instead.
TOLD = (pooling, weighted, k_max, attention, gru, bilstm, transformer)
# Those with padding.
PADDED = tuple(make for make in LAYERS if make is not prediction)
