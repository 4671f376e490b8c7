"""Draws a layer, its arguments, shapes, histories and numbers.

Sizes come from short lists: XLA compiles each shape once.
"""

import keras
import numpy as np
from hypothesis import strategies as st

from kseq.layers import (
    AttentionSequencePoolingLayer,
    BiLSTM,
    DynamicGRU,
    KMaxPooling,
    SequencePoolingLayer,
    Transformer,
    WeightedSequenceLayer,
)
from kseq.layers.core import BatchNormalization, Dice
from tests.fuzz.drawn import Drawn
from tests.reference import attention as ref_attention
from tests.reference import pooling as ref_pooling
from tests.reference import recurrence as ref_recurrence
from tests.reference import transformer as ref_transformer
from tests.reference.masks import select

BATCHES = (0, 1, 3, 4)
STEPS = (1, 2, 5, 7)
DIMS = (1, 3, 4)
LENGTH_DTYPES = ("int8", "int32", "int64", "float32")


class Draws:
    """Hypothesis's choices, and what is made of them."""

    def __init__(self, draw):
        self.draw = draw
        self.batch = self.one_of(BATCHES)
        self.dim = self.one_of(DIMS)
        self.told_lengths = self.flag()
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self.valid, self.lengths = {}, {}

    def one_of(self, values):
        return self.draw(st.sampled_from(values))

    def flag(self):
        return self.draw(st.booleans())

    def numbers(self, *shape):
        return self.rng.normal(size=shape)

    def sequence(self, name, steps=None):
        """How many steps, and which of them count."""
        steps = steps or self.one_of(STEPS)
        if self.told_lengths:
            lengths = st.integers(-1, steps + 1)
            drawn = self.draw(
                st.lists(lengths, min_size=self.batch, max_size=self.batch)
            )
            lengths = np.array(drawn).astype(self.one_of(LENGTH_DTYPES))
            self.lengths[name] = lengths[:, None] if self.flag() else lengths
            valid = np.arange(steps) < lengths.reshape(-1, 1)
        else:
            size = self.batch * steps
            bits = st.lists(st.booleans(), min_size=size, max_size=size)
            valid = np.array(self.draw(bits), bool)
        self.valid[name] = valid.reshape(self.batch, steps)
        return steps

    def drawn(self, make, features, reference, places, **rest):
        call = rest.pop("call", {})
        return Drawn(
            make,
            features,
            self.valid,
            reference,
            rest.pop("steps_of", {}),
            self.lengths if self.told_lengths and places else None,
            places,
            call,
            **rest,
        )


def pooling(d):
    steps, mode = d.sequence("x"), d.one_of(("sum", "mean", "max"))
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
        {"x": d.numbers(d.batch, steps, d.dim), "weights": d.numbers(*shape)},
        lambda f, v, _: ref_pooling.weighted(
            f["x"], f["weights"], v["x"], normalize
        ),
        {1: "x"},
        steps_of={"weights": "x"},
        steps_at=(1, "x"),
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
        steps_at=None if over_steps else (1, "x"),
    )


def attention(d):
    steps, candidates = d.sequence("x"), d.one_of((1, 3))
    hidden = d.one_of(((), (4,), (3, 2)))
    activation = d.one_of(("sigmoid", "relu", "tanh", "dice", "prelu"))
    normalize, score = d.flag(), d.flag()
    # Statistics of a batch with no step at all are no numbers to compare.
    training = d.flag() and bool(d.valid["x"].any())

    def reference(f, v, weights):
        output, scores = ref_attention.attention_pooling(
            f["query"],
            f["x"],
            v["x"],
            weights,
            normalize=normalize,
            activation=activation,
            hidden=len(hidden),
            training=training,
        )
        return scores if score else output

    return d.drawn(
        lambda: AttentionSequencePoolingLayer(
            hidden,
            keras.layers.PReLU(shared_axes=[1])
            if activation == "prelu"
            else activation,
            normalize,
            score,
            not d.told_lengths,
        ),
        {
            "query": d.numbers(d.batch, candidates, d.dim),
            "x": d.numbers(d.batch, steps, d.dim),
        },
        reference,
        {2: "x"},
        call={"training": training},
        steps_at=(2, "x") if score else None,
        rows_apart=not (training and activation == "dice" and hidden),
    )


def normalization(d):
    steps, kind = d.sequence("x"), d.one_of((Dice, BatchNormalization))
    training = d.flag() and bool(d.valid["x"].any())
    d.told_lengths = False

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
        {},
        call={"training": training},
        steps_at=(1, "x"),
        rows_apart=not training,
    )


def gru(d):
    steps, kind = d.sequence("x"), d.one_of(("GRU", "AIGRU", "AGRU", "AUGRU"))
    units, form = d.one_of((None, 2, 5)), d.one_of(("deepctr", "paper"))
    sequence = d.flag()
    attended = kind in ("AGRU", "AUGRU")
    features = {"x": d.numbers(d.batch, steps, d.dim)}
    if attended:
        features["scores"] = 1 / (1 + np.exp(-d.numbers(d.batch, steps, 1)))

    def reference(f, v, weights):
        scores = f["scores"][..., 0] if attended else None
        outputs, state = ref_recurrence.gru(
            f["x"], v["x"], weights, scores, kind, form
        )
        return outputs if sequence else state[:, None]

    return d.drawn(
        lambda: DynamicGRU(units, kind, sequence, augru_form=form),
        features,
        reference,
        {1: "x"},
        steps_of={"scores": "x"},
        steps_at=(1, "x") if sequence else None,
    )


def bilstm(d):
    steps, layers = d.sequence("x"), d.one_of((1, 2))
    merge = d.one_of(("fw", "bw", "sum", "mul", "ave", "concat"))
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
        steps_at=(1, "x"),
    )


def transformer(d):
    asked, steps = d.sequence("queries"), d.sequence("keys")
    heads, width = d.one_of(((1, 4), (2, 2), (4, 1)))
    kind = d.one_of(("scaled_dot_product", "cos", "ln", "additive"))
    if kind == "ln" and width == 1:
        heads, width = 2, 2  # uniform attention, with a warning
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
            max_steps=20,
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
        steps_at=(1, "queries") if output is None else None,
        counts_padding=output in ("mean", "sum"),
    )


FAMILIES = (
    pooling,
    weighted,
    k_max,
    attention,
    normalization,
    gru,
    bilstm,
    transformer,
)


def family(make):
    """A strategy of `Drawn`."""
    return st.composite(lambda draw: make(Draws(draw)))()
