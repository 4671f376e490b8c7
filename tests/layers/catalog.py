"""One description of each layer, from which the tests of all layers draw.

A new layer needs one entry in `LAYERS`, and its float64 reference in
`tests/reference`.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from kseq.agreement.numbers import rounded
from kseq.layers import (
    DNN,
    AttentionSequencePoolingLayer,
    AuxiliaryLoss,
    BatchNormalization,
    BiasEncoding,
    BiLSTM,
    Dice,
    DynamicGRU,
    KMaxPooling,
    LayerNormalization,
    LocalActivationUnit,
    PositionEncoding,
    PredictionLayer,
    SequencePoolingLayer,
    Transformer,
    WeightedSequenceLayer,
)
from tests.layers.trial import Trial
from tests.reference import attention as ref_attention
from tests.reference import core as ref_core
from tests.reference import pooling as ref_pooling
from tests.reference import recurrence as ref_recurrence
from tests.reference import transformer as ref_transformer
from tests.reference.masks import select

SIZES = {
    "batch": 4,
    "steps": 6,
    "dim": 3,
    "candidates": 2,
    "queries": 5,
    "other": 4,  # the steps of a second session
    "units": 2,
}
# Rows full, short, of one step, and empty.
LENGTHS = {
    "steps": np.array([6, 3, 1, 0], "int32"),
    "queries": np.array([5, 2, 4, 0], "int32"),
    "other": np.array([4, 1, 2, 0], "int32"),
}
# With holes, a prefix, one step, none.
MASKS = {
    "steps": [[1, 0, 1, 1, 0, 1], [1, 1, 1, 0, 0, 0], [0, 0, 1, 0, 0, 0]],
    "queries": [[0, 1, 1, 0, 1], [1, 1, 1, 1, 0], [0, 0, 0, 0, 1]],
    "other": [[0, 1, 1, 1], [1, 1, 0, 0], [0, 0, 0, 1]],
}
MASKS = {n: np.array([*m, [0] * len(m[0])], bool) for n, m in MASKS.items()}
MASK = MASKS["steps"]
# Inputs that are weights of steps, and so of size 1 in the fuzz tests.
STEP_WEIGHTS = ("weights", "scores")


def draw(name, *shape):
    """Normal numbers that depend on a name only."""
    return np.random.default_rng(list(name.encode())).normal(size=shape)


def draw32(name, *shape):
    """Numbers of 8 significant bits, which every dtype holds exactly."""
    return rounded(draw(name, *shape), "bfloat16").astype("float32")


@dataclass(frozen=True)
class Layer:
    """How a layer is called, what it computes and what holds for it.

    Facts that depend on the constructor's arguments are functions of them.

    Args:
        cls: the class.
        inputs: the axes after the batch of each input; several choices of which
            the first is the usual one.
        arguments: for each argument of the constructor the values to test; the
            first is not the default.
        reference: `reference(inputs, valid, weights, arguments)` in float64;
            `valid` by axis, and `arguments` of constructor and call.
        deepctr: the names of DeepCTR's list.
        lengths: the axis that each lengths argument belongs to.
        masks: the inputs that have a mask.
        outputs: each output's (axis of steps, name of axis) or None.
        omitted: inputs that the layer does not take.
        settled: arguments that fit each other and the sizes.
        dim: the only possible width of the inputs.
        fixed: arguments that the reference does not have.
        requires_mask: whether a call needs lengths or masks.
        empty_is_zero: whether an empty history gives zeros.
        own_padding: whether padding shows in the output of its own step.
        inert: whether padding has no effect.
        positional: whether the result depends on a step's position.
        minimum_steps: the fewest steps that work.
        independent_rows: whether no row depends on another.
        measured: the class whose outputs are compared with the reference.
        degree: outputs are at most of the order of the inputs to this power.
        trains: whether `training` changes the result without dropout.
        needs_width: the input whose unknown width raises ValueError.
    """

    cls: Any
    inputs: Mapping[str, Sequence[str]]
    arguments: Mapping[str, Sequence[Any]]
    reference: Callable[..., Any]
    deepctr: Sequence[str] = ()
    lengths: Mapping[str, str] = field(default_factory=dict)
    masks: Sequence[str] = ()
    outputs: Callable[[Any], Sequence[Any]] = lambda a: (None,)
    omitted: Callable[[Any], Sequence[str]] = lambda a: ()
    settled: Callable[[Any, Any], Any] = lambda a, sizes: {}
    dim: Callable[[Any], int | None] = lambda a: None
    fixed: Mapping[str, Any] = field(default_factory=dict)
    requires_mask: bool = False
    empty_is_zero: bool = True
    own_padding: bool = False
    inert: Callable[[Any], bool] = lambda a: True
    positional: Callable[[Any], bool] = lambda a: False
    minimum_steps: Callable[[Any], int] = lambda a: 1
    independent_rows: Callable[[Any], bool] = lambda a: True
    measured: Any = None
    degree: int = 1
    trains: Callable[[Any], bool] = lambda a: False
    needs_width: str = ""
    is_list: bool = False

    @property
    def name(self):
        return self.cls.__name__

    @property
    def has_switch(self):
        """Whether the layer has DeepCTR's argument `supports_masking`."""
        return "supports_masking" in self.arguments

    def make(self, arguments, measured=False, **options):
        cls = self.measured if measured and self.measured else self.cls
        for name in ("activation", "att_activation", "output_activation"):
            if arguments.get(name) == "prelu":
                layer = keras.layers.PReLU(shared_axes=[1])
                arguments = {**arguments, name: layer}
        return cls(**arguments, **options)

    def trial(
        self, arguments, features, valid, axes, measured=False, **options
    ):
        """A trial of arrays by name.

        Args:
            arguments: those of the constructor.
            features: the inputs without lengths.
            valid: bool (batch, steps) by axis; empty without steps.
            axes: the axes of each input.
            measured: whether to create `measured`, not `cls`.
            options: further fields of the trial.
        """
        known = self.defaults | arguments | options.get("call", {})
        firsts = {n: axes[n].split()[0] for n in features}
        sequences = {n: axis for n, axis in firsts.items() if axis in valid}
        length_known = known.get("max_steps") or not known.get(
            "use_positional_encoding", True
        )
        outputs = self.outputs(known) + (None,) * (
            measured and self.measured is not None
        )
        return Trial(
            lambda **o: self.make(arguments, measured, **o),
            features,
            valid,
            lambda f, v, w: self.reference(f, v, w, known),
            sequences,
            [n for n in self.masks if n in sequences],
            order=self.deepctr,
            counted=self.lengths,
            outputs=[at if at and at[1] in valid else None for at in outputs],
            is_list=self.is_list,
            independent_rows=self.independent_rows(known),
            grows=bool(sequences),
            any_steps=length_known or "max_steps" not in self.arguments,
            inert=self.inert(known),
            own_padding=self.own_padding,
            degree=self.degree,
            **options,
        )

    @property
    def defaults(self):
        return {
            n: p.default
            for n, p in inspect.signature(self.cls).parameters.items()
            if p.kind is not p.VAR_KEYWORD
        }

    @property
    def given(self):
        """A value other than the default for each argument."""
        return {n: values[0] for n, values in self.arguments.items()}


BOOL, NOT = (True, False), (False, True)
SEED = (5, None)
SWITCH = {"supports_masking": (True, False)}
KERNELS = {
    "kernel_initializer": ("he_normal", None),
    "kernel_regularizer": ("l2", None),
}
MAX_STEPS = (20, None)
HIDDEN = ((3, 2), (4,), ())
ACTIVATION = ("relu", "sigmoid", "tanh", "dice", "prelu")
X_LENGTHS = {
    "deepctr": ("x", "lengths"),
    "lengths": {"lengths": "steps"},
    "masks": ("x",),
}
STEPS = ((1, "steps"),)
DENSE = ("steps dim", "dim", "steps candidates dim")


def has_dice(a, name):
    hidden = a.get("att_hidden_units", a.get("hidden_units"))
    return bool(hidden) and a[name] == "dice"


def uses_batch_statistics(a):
    """Whether one of the activations or `use_bn` does, in training."""
    names = ("activation", "att_activation", "output_activation")
    dice = any(has_dice(a, n) for n in names if n in a)
    use_bn = bool(a.get("use_bn") and a["hidden_units"])
    return bool(a.get("training")) and (dice or use_bn)


def activations(a):
    found = [a["activation"]] * len(a["hidden_units"])
    return [*found[:-1], a["output_activation"] or found[-1]] if found else []


def scorer(a, hidden="hidden_units", activation="activation"):
    return {
        "activation": a[activation],
        "hidden": len(a[hidden]),
        "training": a.get("training", False),
    }


def attention(f, v, w, a):
    output, scores = ref_attention.attention_pooling(
        f["query"],
        f["keys"],
        v["steps"],
        w,
        a["weight_normalization"],
        **scorer(a, "att_hidden_units", "att_activation"),
    )
    if a.get("return_attention_scores"):
        return output, scores
    return scores if a["return_score"] else output


def attention_outputs(a):
    scores = (2, "steps")
    if a.get("return_attention_scores"):
        return None, scores
    return (scores,) if a["return_score"] else (None,)


def gru(f, v, w, a):
    scores = f["scores"][..., 0] if "scores" in f else None
    outputs, state = ref_recurrence.gru(
        f["x"], v["steps"], w, scores, a["gru_type"], a["augru_form"]
    )
    outputs = outputs if a["return_sequence"] else state[:, None]
    return [outputs, state] if a["return_state"] else outputs


def bias_encoding(f, v, w, a):
    session, step, feature = w
    return [
        x + session[i] + step[:, : x.shape[1]] + feature
        for i, x in enumerate(f.values())
    ]


def position_encoding(f, v, w, a):
    x = f["inputs"]
    factor = x.shape[-1] ** 0.5 if a["scale"] else 1.0
    return select(v["steps"][..., None], x + factor * w[0][: x.shape[1]])


@keras.saving.register_keras_serializable(package="tests")
class AuxiliaryLossOutput(AuxiliaryLoss):
    """The auxiliary loss as a second output."""

    def call(self, states, clicks, negatives, lengths=None, mask=None,
             states_mask=None, training=None):  # fmt: skip
        states = super().call(
            states, clicks, negatives, lengths, mask, states_mask, training
        )
        return states, ops.cast(ops.reshape(self.loss, (1,)), states.dtype)

    def add_loss(self, loss):
        self.loss = loss

    def compute_mask(self, inputs, mask=None):
        return super().compute_mask(inputs, mask), None

    def compute_output_shape(self, *shapes, **named):
        return super().compute_output_shape(*shapes, **named), (1,)


def auxiliary(f, v, w, a):
    loss = ref_core.auxiliary_loss(
        f["states"],
        f["clicks"],
        f["negatives"],
        v["steps"],
        w,
        [a["activation"]] * len(a["hidden_units"]) + ["linear"],
    )
    return [f["states"], a["alpha"] * loss]


LAYERS = [
    Layer(
        SequencePoolingLayer,
        {"x": ("steps dim",)},
        {"mode": ("sum", "mean", "max"), **SWITCH},
        lambda f, v, w, a: ref_pooling.pool(f["x"], v["steps"], a["mode"]),
        requires_mask=True,
        **X_LENGTHS,
    ),
    Layer(
        WeightedSequenceLayer,
        {"x": ("steps dim",), "weights": ("steps 1", "steps")},
        {"weight_normalization": NOT, **SWITCH},
        lambda f, v, w, a: ref_pooling.weighted(
            f["x"], f["weights"], v["steps"], a["weight_normalization"]
        ),
        outputs=lambda a: STEPS,
        requires_mask=True,
        **X_LENGTHS | {"deepctr": ("x", "lengths", "weights")},
    ),
    Layer(
        KMaxPooling,
        {"x": ("steps dim",)},
        {"k": (2, 1, 3), "axis": (2, 1, -1, -2)},
        lambda f, v, w, a: ref_pooling.k_max(
            f["x"], a["k"], a["axis"] % 3, v["steps"]
        ),
        outputs=lambda a: (None,) if a["axis"] % 3 == 1 else STEPS,
        settled=lambda a, sizes: {
            "k": min(a["k"], sizes["steps" if a["axis"] % 3 == 1 else "dim"])
        },
        minimum_steps=lambda a: a["k"] if a["axis"] % 3 == 1 else 1,
        **X_LENGTHS,
    ),
    Layer(
        AttentionSequencePoolingLayer,
        {"query": ("candidates dim",), "keys": ("steps dim",)},
        {
            "att_hidden_units": HIDDEN,
            "att_activation": ACTIVATION,
            "weight_normalization": BOOL,
            "return_score": BOOL,
            **SWITCH,
            "seed": SEED,
        },
        attention,
        ("query", "keys", "lengths"),
        {"lengths": "steps"},
        ("keys",),
        attention_outputs,
        requires_mask=True,
        independent_rows=lambda a: not uses_batch_statistics(a),
        trains=lambda a: has_dice(a, "att_activation"),
        degree=3,
        needs_width="keys",
    ),
    Layer(
        LocalActivationUnit,
        {"query": ("candidates dim",), "keys": ("steps dim",)},
        {
            "hidden_units": HIDDEN,
            "activation": ACTIVATION,
            "l2_reg": (0.5, 0),
            "dropout_rate": (0.25, 0),
            "use_bn": BOOL,
            "seed": SEED,
        },
        lambda f, v, w, a: ref_core.local_activation_unit(
            f["query"], f["keys"], v["steps"], w, **scorer(a)
        ),
        ("query", "keys"),
        {"lengths": "steps"},
        ("keys",),
        lambda a: STEPS,
        fixed={"use_bn": False},
        empty_is_zero=False,
        independent_rows=lambda a: not uses_batch_statistics(a),
        trains=lambda a: has_dice(a, "activation"),
        degree=2,
        needs_width="keys",
    ),
    Layer(
        DNN,
        {"inputs": DENSE},
        {
            "hidden_units": HIDDEN,
            "activation": ("tanh", "relu", "sigmoid", "dice"),
            "l2_reg": (0.5, 0),
            "dropout_rate": (0.25, 0),
            "use_bn": BOOL,
            "output_activation": ("sigmoid", None, "dice", "linear"),
            "seed": SEED,
            **KERNELS,
        },
        lambda f, v, w, a: ref_core.dnn(
            f["inputs"],
            v.get("steps"),
            w,
            activations(a),
            a["use_bn"],
            a.get("training", False),
        ),
        masks=("inputs",),
        outputs=lambda a: STEPS,
        empty_is_zero=False,
        independent_rows=lambda a: not uses_batch_statistics(a),
        trains=lambda a: uses_batch_statistics(a | {"training": True}),
        needs_width="inputs",
    ),
    Layer(
        Dice,
        {"inputs": DENSE},
        {"axis": (1, -1), "epsilon": (0.25, 1e-9)},
        lambda f, v, w, a: ref_core.dice_layer(
            f["inputs"],
            v.get("steps"),
            w,
            a.get("training", False),
            a["epsilon"],
        ),
        masks=("inputs",),
        outputs=lambda a: STEPS,
        fixed={"axis": -1},
        independent_rows=lambda a: not a.get("training"),
        trains=lambda a: True,
        needs_width="inputs",
    ),
    Layer(
        BatchNormalization,
        {"inputs": DENSE},
        {
            "axis": (1, -1),
            "momentum": (0.5, 0.99),
            "epsilon": (0.25, 1e-3),
            "center": NOT,
            "scale": NOT,
        },
        lambda f, v, w, a: ref_core.batch_normalization(
            f["inputs"],
            v.get("steps"),
            w,
            a.get("training", False),
            a["epsilon"],
            a["center"],
            a["scale"],
        ),
        masks=("inputs",),
        outputs=lambda a: STEPS,
        fixed={"axis": -1},
        empty_is_zero=False,
        independent_rows=lambda a: not a.get("training"),
        trains=lambda a: True,
        needs_width="inputs",
    ),
    Layer(
        LayerNormalization,
        {"inputs": DENSE},
        {"epsilon": (0.25, 1e-9)},
        lambda f, v, w, a: ref_transformer.layer_norm(
            select(
                ref_core.entries(f["inputs"], v.get("steps"))[..., None],
                f["inputs"],
            ),
            *w,
            a["epsilon"],
        ),
        masks=("inputs",),
        outputs=lambda a: STEPS,
        empty_is_zero=False,
        needs_width="inputs",
    ),
    Layer(
        PredictionLayer,
        {"inputs": ("dim", "steps dim")},
        {"task": ("regression", "binary"), "use_bias": NOT},
        lambda f, v, w, a: ref_core.prediction(
            f["inputs"], w, a["task"], a["use_bias"]
        ),
        empty_is_zero=False,
    ),
    Layer(
        AuxiliaryLoss,
        {
            "states": ("steps units",),
            "clicks": ("steps dim",),
            "negatives": ("steps dim",),
        },
        {
            "alpha": (0.5, 1.0, 0.0),
            "hidden_units": HIDDEN,
            "activation": ("tanh", "sigmoid"),
            "seed": SEED,
        },
        auxiliary,
        ("states", "clicks", "negatives", "lengths"),
        {"lengths": "steps"},
        ("states",),
        lambda a: STEPS,
        empty_is_zero=False,
        own_padding=True,
        independent_rows=lambda a: False,
        measured=AuxiliaryLossOutput,
        needs_width="states",
    ),
    Layer(
        DynamicGRU,
        {"x": ("steps dim",), "scores": ("steps 1",)},
        {
            "num_units": (4, None, 2),
            "gru_type": ("AUGRU", "GRU", "AIGRU", "AGRU"),
            "return_sequence": NOT,
            "return_state": BOOL,
            "augru_form": ("paper", "deepctr"),
            "seed": SEED,
            **KERNELS,
        },
        gru,
        ("x", "lengths", "scores"),
        {"lengths": "steps"},
        ("x",),
        lambda a: (
            (1, "steps") if a["return_sequence"] else None,
            *[None] * a["return_state"],
        ),
        omitted=lambda a: ("scores",) * (a["gru_type"] in ("GRU", "AIGRU")),
        requires_mask=True,
        needs_width="x",
    ),
    Layer(
        BiLSTM,
        {"x": ("steps dim",)},
        {
            "units": (2, 3, 1),
            "layers": (1, 2),
            "res_layers": (1, 0),
            "dropout_rate": (0.5, 0.0),
            "merge_mode": ("sum", "fw", "bw", "mul", "ave", "concat", None),
            "seed": SEED,
            **KERNELS,
        },
        lambda f, v, w, a: ref_recurrence.bilstm(
            f["x"], v["steps"], w, a["layers"], a["res_layers"], a["merge_mode"]
        ),
        outputs=lambda a: STEPS * (1 if a["merge_mode"] else 2),
        settled=lambda a, sizes: {
            "res_layers": min(
                a["res_layers"],
                a["layers"] - (a["units"] != sizes["dim"]),
            )
        },
        degree=2,
        needs_width="x",
        **X_LENGTHS,
    ),
    Layer(
        BiasEncoding,
        {"session_0": ("steps dim",), "session_1": ("other dim",)},
        {"sess_max_count": (2,), "seed": SEED, "max_steps": MAX_STEPS},
        bias_encoding,
        outputs=lambda a: ((1, "steps"), (1, "other")),
        empty_is_zero=False,
        own_padding=True,
        positional=lambda a: True,
        needs_width="inputs",
        is_list=True,
    ),
    Layer(
        PositionEncoding,
        {"inputs": ("steps dim",)},
        {
            "pos_embedding_trainable": NOT,
            "zero_pad": BOOL,
            "scale": NOT,
            "max_steps": MAX_STEPS,
        },
        position_encoding,
        ("inputs", "lengths"),
        {"lengths": "steps"},
        ("inputs",),
        lambda a: STEPS,
        positional=lambda a: True,
        needs_width="inputs",
    ),
    Layer(
        Transformer,
        {"queries": ("queries dim",), "keys": ("steps dim",)},
        {
            "att_embedding_size": (2, 4, 1),
            "head_num": (2, 1),
            "dropout_rate": (0.5, 0.0),
            "use_positional_encoding": NOT,
            "use_res": NOT,
            "use_feed_forward": NOT,
            "use_layer_norm": BOOL,
            "blinding": NOT,
            "seed": SEED,
            **SWITCH,
            "attention_type": ("cos", "scaled_dot_product", "ln", "additive"),
            "output_type": ("sum", "mean", "masked_mean", "masked_sum", None),
            "max_steps": MAX_STEPS,
            **KERNELS,
        },
        lambda f, v, w, a: ref_transformer.transformer(
            f["queries"],
            f["keys"],
            v["queries"],
            v["steps"],
            w,
            a["head_num"],
            a["attention_type"],
            a["use_positional_encoding"],
            a["use_res"],
            a["use_feed_forward"],
            a["use_layer_norm"],
            a["blinding"],
            a["output_type"],
        ),
        ("queries", "keys", "query_lengths", "key_lengths"),
        {"query_lengths": "queries", "key_lengths": "steps"},
        ("queries", "keys"),
        lambda a: ((1, "queries") if a["output_type"] is None else None,),
        # Normalized, one number is 0, and two are 1 and -1.
        settled=lambda a, sizes: (
            {"att_embedding_size": 4} if a["attention_type"] == "ln" else {}
        ),
        dim=lambda a: a["att_embedding_size"] * a["head_num"],
        requires_mask=True,
        inert=lambda a: (
            a["output_type"] not in ("mean", "sum") or not a["use_res"]
        ),
        positional=lambda a: a["use_positional_encoding"] or a["blinding"],
        needs_width="queries",
    ),
]
BY_CLASS = {layer.name: layer for layer in LAYERS}


@dataclass(frozen=True)
class Example:
    """A layer with chosen arguments.

    Args:
        name: for test ids; the agreement case of a name that ends with "-mask"
            is called with masks, others with lengths where there are any.
        layer: the entry.
        arguments: of the constructor.
        sizes: other sizes than those of `SIZES`.
        call: further arguments of the call.
        main: whether the tests of all layers use it, and not only the
            comparison with the reference.
    """

    name: str
    layer: Layer
    arguments: Mapping[str, Any]
    sizes: Mapping[str, int] = field(default_factory=dict)
    call: Mapping[str, Any] = field(default_factory=dict)
    main: bool = True

    @property
    def known(self):
        return self.layer.defaults | self.arguments | self.call

    def trial(self, measured=False, draw=draw32, masks=False, names=None):
        """The trial with lengths where the layer takes them, or with masks."""
        layer, known = self.layer, self.known
        sizes = SIZES | {"dim": layer.dim(known) or SIZES["dim"], "1": 1}
        sizes |= self.sizes
        axes = {
            n: choices[0]
            for n, choices in layer.inputs.items()
            if n not in layer.omitted(known)
        }
        features = {}
        for n, text in axes.items():
            shape = [sizes[axis] for axis in text.split()]
            features[n] = draw(n, sizes["batch"], *shape)
            if n in STEP_WEIGHTS:
                scores = rounded(1 / (1 + np.exp(-features[n])), "bfloat16")
                features[n] = scores.astype(features[n].dtype)
        used = [t.split()[0] for t in axes.values() if t.split()[0] in LENGTHS]
        has_lengths = layer.lengths and not masks
        lengths = {n: np.minimum(LENGTHS[x], sizes[x]) for n, x in
                   layer.lengths.items()}  # fmt: skip
        valid = {
            x: np.arange(sizes[x]) < np.minimum(LENGTHS[x], sizes[x])[:, None]
            if has_lengths
            else MASKS[x][:, : sizes[x]]
            for x in used
        }
        if layer.is_list:
            valid = {x: np.ones_like(v) for x, v in valid.items()}
        return layer.trial(
            self.arguments,
            features,
            valid,
            axes,
            measured,
            lengths=lengths if has_lengths else None,
            call=dict(self.call),
        )


def example(cls, name, /, *, sizes=None, call=None, main=True, **arguments):
    return Example(
        name, BY_CLASS[cls], arguments, sizes or {}, call or {}, main
    )


SPLIT = {"steps": 3, "dim": 5}  # fewer steps than dim: din_hidden's other form
TRAINING = {"training": True}
BOTH = {"return_attention_scores": True}


def attention_example(name, activation="sigmoid", hidden=(5, 4), **options):
    return example(
        "AttentionSequencePoolingLayer",
        f"attention-{name}",
        att_hidden_units=hidden,
        att_activation=activation,
        **options,
    )


def gru_example(name, **options):
    return example("DynamicGRU", f"gru-{name}", **options)


def bilstm_example(name, **options):
    options = {"layers": 1, "dropout_rate": 0.0} | options
    return example("BiLSTM", f"bilstm-{name}", **options)


def transformer_example(name, **options):
    options = {
        "att_embedding_size": 2,
        "head_num": 2,
        "use_positional_encoding": False,
    } | options
    return example("Transformer", f"transformer-{name}", **options)


EXAMPLES = [
    *(
        example(
            "SequencePoolingLayer",
            f"pooling-{mode}-{by}",
            mode=mode,
            main=(by == "lengths") == (mode != "max"),
        )
        for mode in ("sum", "mean", "max")
        for by in ("lengths", "mask")
    ),
    example("WeightedSequenceLayer", "weighted-softmax-lengths"),
    example(
        "WeightedSequenceLayer",
        "weighted-plain-mask",
        weight_normalization=False,
    ),
    example("KMaxPooling", "k-max-steps-lengths", k=2),
    example("KMaxPooling", "k-max-dim-mask", k=2, axis=2),
    attention_example("sigmoid"),
    attention_example("sigmoid-split", sizes=SPLIT, main=False),
    attention_example(
        "softmax-split", sizes=SPLIT, weight_normalization=True, main=False
    ),
    attention_example("relu-mask", "relu", main=False),
    attention_example("tanh", "tanh", main=False),
    attention_example("softmax", weight_normalization=True),
    attention_example("score", return_score=True),
    attention_example(
        "softmax-score-mask",
        weight_normalization=True,
        return_score=True,
        main=False,
    ),
    attention_example("both", call=BOTH, main=False),
    attention_example("both-split", sizes=SPLIT, call=BOTH, main=False),
    attention_example("dice", "dice"),
    attention_example("dice-training", "dice", call=TRAINING, main=False),
    attention_example("dice-training-mask", "dice", call=TRAINING, main=False),
    attention_example("prelu", "prelu", main=False),
    attention_example("one-layer", hidden=(4,), main=False),
    attention_example("no-layer", hidden=(), main=False),
    example(
        "LocalActivationUnit", "local-activation-unit", hidden_units=(5, 4)
    ),
    example("Dice", "dice-inference-mask"),
    example("Dice", "dice-training-mask", call=TRAINING, main=False),
    example("BatchNormalization", "batch-normalization-mask"),
    example(
        "BatchNormalization",
        "batch-normalization-training-mask",
        call=TRAINING,
        main=False,
    ),
    example("LayerNormalization", "layer-normalization-mask"),
    example(
        "DNN", "dnn-mask", hidden_units=(5, 4), output_activation="sigmoid"
    ),
    example("PredictionLayer", "prediction"),
    example("AuxiliaryLoss", "auxiliary-loss", hidden_units=(4,)),
    gru_example("plain", num_units=4),
    gru_example("last", return_sequence=False, main=False),
    gru_example("mask-state-mask", num_units=2, return_state=True),
    gru_example("agru", num_units=4, gru_type="AGRU", main=False),
    gru_example("augru", num_units=4, gru_type="AUGRU"),
    gru_example("augru-mask", gru_type="AUGRU", main=False),
    gru_example(
        "augru-paper",
        gru_type="AUGRU",
        augru_form="paper",
        num_units=2,
        return_sequence=False,
    ),
    bilstm_example("ave", units=2),
    bilstm_example("concat-mask", units=2, merge_mode="concat", main=False),
    bilstm_example("mul", units=4, merge_mode="mul", main=False),
    bilstm_example("two-layers", units=2, layers=2, res_layers=1),
    bilstm_example("residual-mask", units=3, res_layers=1, merge_mode=None),
    transformer_example("mean"),
    transformer_example("masked-mean-mask", output_type="masked_mean"),
    transformer_example(
        "positions",
        use_positional_encoding=True,
        output_type="masked_mean",
        max_steps=20,
    ),
    transformer_example(
        "layer-norm-mask",
        use_layer_norm=True,
        blinding=False,
        output_type=None,
    ),
    *(
        transformer_example(
            kind,
            attention_type=kind,
            use_feed_forward=False,
            use_res=False,
            output_type=output_type,
            main=kind == "additive",
        )
        for kind, output_type in (
            ("cos", "masked_sum"),
            ("ln", None),
            ("additive", "sum"),
        )
    ),
    example("PositionEncoding", "positions-trained", max_steps=20),
    example(
        "PositionEncoding",
        "positions-zero-pad-fixed",
        zero_pad=True,
        pos_embedding_trainable=False,
        main=False,
    ),
    example(
        "PositionEncoding", "positions-unscaled-mask", scale=False, main=False
    ),
    example("BiasEncoding", "bias-encoding", sess_max_count=2, max_steps=20),
]
MAIN = [e for e in EXAMPLES if e.main]
BY_NAME = {e.name: e for e in EXAMPLES}


def each(examples=MAIN, argument="example"):
    return pytest.mark.parametrize(
        argument, [pytest.param(e, id=e.name) for e in examples]
    )
