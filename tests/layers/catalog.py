"""One description of each layer, from which the tests of all layers draw.

A new layer needs one entry in `LAYERS`, and its float64 reference in
`tests/reference`.
"""

import functools
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
COMPILING = ("jax", "tensorflow", "openvino")


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
        omitted: inputs that the layer does not take.
        settled: arguments that fit each other and the sizes.
        dim: the only possible width of the inputs.
        fixed: arguments that the reference does not have.
        requires_mask: whether a call needs lengths or masks.
        empty_is_zero: whether an empty history gives zeros.
        minimum_steps: the fewest steps that work.
        measured: the class whose outputs are compared with the reference.
        trains: whether `training` changes the result without dropout.
        needs_width: the input whose unknown width raises ValueError.
        outputs, own_padding, inert, independent_rows, is_list: see
            `Trial`.
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
    minimum_steps: Callable[[Any], int] = lambda a: 1
    independent_rows: Callable[[Any], bool] = lambda a: True
    measured: Any = None
    trains: Callable[[Any], bool] = lambda a: False
    needs_width: str = ""
    is_list: bool = False

    @property
    def name(self):
        return self.cls.__name__

    @property
    def defaults(self):
        parameters = inspect.signature(self.cls).parameters.values()
        return {p.name: p.default for p in parameters if p.name != "kwargs"}

    @property
    def given(self):
        """A value other than the default for each argument."""
        return {n: values[0] for n, values in self.arguments.items()}

    def make(self, arguments, measured=False, **options):
        arguments = {
            name: keras.layers.PReLU(shared_axes=[1]) if x == "prelu" else x
            for name, x in arguments.items()
        }
        cls = self.measured if measured and self.measured else self.cls
        return cls(**arguments | options)

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
        has_table = "max_steps" in known and known.get(
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
            any_steps=bool(known.get("max_steps")) or not has_table,
            inert=self.inert(known),
            own_padding=self.own_padding,
            **options,
        )


BOOL, NOT = (True, False), (False, True)
SCORER = {"l2_reg": (0.5, 0), "dropout_rate": (0.25, 0), "use_bn": BOOL}
SEED = {"seed": (5, None)}
SWITCH = {"supports_masking": BOOL}
KERNELS = {
    "kernel_initializer": ("he_normal", None),
    "kernel_regularizer": ("l2", None),
}
MAX_STEPS = {"max_steps": (20, None)}
HIDDEN = ((3, 2), (4,), ())
ACTIVATION = ("relu", "sigmoid", "tanh", "dice", "prelu")
STEPS = ((1, "steps"),)
STEPS_DIM = ("steps dim",)
LENGTHS_AND_MASK = {"lengths": {"lengths": "steps"}, "masks": ("x",)}
X_LENGTHS = {"deepctr": ("x", "lengths"), **LENGTHS_AND_MASK}
QUERY_KEYS = {"query": ("candidates dim",), "keys": STEPS_DIM}
# Of layers without lengths, which take any rank.
DENSE = {
    "inputs": {"inputs": ("steps dim", "dim", "steps candidates dim")},
    "masks": ("inputs",),
    "outputs": lambda a: STEPS,
    "empty_is_zero": False,
    "needs_width": "inputs",
}
STATISTICS = {
    "fixed": {"axis": -1},
    "independent_rows": lambda a: not a.get("training"),
    "trains": lambda a: True,
}


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

    def call(
        self,
        states,
        clicks,
        negatives,
        lengths=None,
        mask=None,
        states_mask=None,
        training=None,
    ):
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


def transformer(f, v, w, a):
    return ref_transformer.transformer(
        *(f["queries"], f["keys"], v["queries"], v["steps"], w),
        *(a["head_num"], a["attention_type"], a["use_positional_encoding"]),
        *(a["use_res"], a["use_feed_forward"], a["use_layer_norm"]),
        *(a["blinding"], a["output_type"], a["window"]),
    )


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
        {"x": STEPS_DIM},
        {"mode": ("sum", "mean", "max"), **SWITCH},
        lambda f, v, w, a: ref_pooling.pool(f["x"], v["steps"], a["mode"]),
        requires_mask=True,
        **X_LENGTHS,
    ),
    Layer(
        WeightedSequenceLayer,
        {"x": STEPS_DIM, "weights": ("steps 1", "steps")},
        {"weight_normalization": ("sum", False, True), **SWITCH},
        lambda f, v, w, a: ref_pooling.weighted(
            f["x"], f["weights"], v["steps"], a["weight_normalization"]
        ),
        ("x", "lengths", "weights"),
        outputs=lambda a: STEPS,
        requires_mask=True,
        **LENGTHS_AND_MASK,
    ),
    Layer(
        KMaxPooling,
        {"x": STEPS_DIM},
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
        QUERY_KEYS,
        {
            "att_hidden_units": HIDDEN,
            "att_activation": ACTIVATION,
            "weight_normalization": BOOL,
            "return_score": BOOL,
            **SWITCH,
            **SEED,
            **SCORER,
        },
        attention,
        ("query", "keys", "lengths"),
        {"lengths": "steps"},
        ("keys",),
        attention_outputs,
        fixed={"use_bn": False},
        requires_mask=True,
        independent_rows=lambda a: not uses_batch_statistics(a),
        trains=lambda a: has_dice(a, "att_activation"),
        needs_width="keys",
    ),
    Layer(
        LocalActivationUnit,
        QUERY_KEYS,
        {"hidden_units": HIDDEN, "activation": ACTIVATION, **SCORER, **SEED},
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
        needs_width="keys",
    ),
    Layer(
        DNN,
        arguments={
            "hidden_units": HIDDEN,
            "activation": ("tanh", "relu", "sigmoid", "dice"),
            "l2_reg": (0.5, 0),
            "dropout_rate": (0.25, 0),
            "use_bn": BOOL,
            "output_activation": ("sigmoid", None, "dice", "linear"),
            **SEED,
            **KERNELS,
        },
        reference=lambda f, v, w, a: ref_core.dnn(
            f["inputs"],
            v.get("steps"),
            w,
            activations(a),
            a["use_bn"],
            a.get("training", False),
        ),
        independent_rows=lambda a: not uses_batch_statistics(a),
        trains=lambda a: uses_batch_statistics(a | {"training": True}),
        **DENSE,
    ),
    Layer(
        Dice,
        arguments={"axis": (1, -1), "epsilon": (0.25, 1e-9)},
        reference=lambda f, v, w, a: ref_core.dice_layer(
            f["inputs"],
            v.get("steps"),
            w,
            a.get("training", False),
            a["epsilon"],
        ),
        **DENSE | {"empty_is_zero": True},
        **STATISTICS,
    ),
    Layer(
        BatchNormalization,
        arguments={
            "axis": (1, -1),
            "momentum": (0.5, 0.99),
            "epsilon": (0.25, 1e-3),
            "center": NOT,
            "scale": NOT,
        },
        reference=lambda f, v, w, a: ref_core.batch_normalization(
            f["inputs"],
            v.get("steps"),
            w,
            a.get("training", False),
            a["epsilon"],
            a["center"],
            a["scale"],
        ),
        **DENSE,
        **STATISTICS,
    ),
    Layer(
        LayerNormalization,
        arguments={"epsilon": (0.25, 1e-9)},
        reference=lambda f, v, w, a: ref_transformer.layer_norm(
            select(
                ref_core.entries(f["inputs"], v.get("steps"))[..., None],
                f["inputs"],
            ),
            *w,
            a["epsilon"],
        ),
        **DENSE,
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
            "clicks": STEPS_DIM,
            "negatives": STEPS_DIM,
        },
        {
            "alpha": (0.5, 1.0, 0.0),
            "hidden_units": HIDDEN,
            "activation": ("tanh", "sigmoid"),
            **SEED,
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
        {"x": STEPS_DIM, "scores": ("steps 1",)},
        {
            "num_units": (4, None, 2),
            "gru_type": ("AUGRU", "GRU", "AIGRU", "AGRU"),
            "return_sequence": NOT,
            "return_state": BOOL,
            "augru_form": ("paper", "deepctr"),
            **SEED,
            **KERNELS,
            "reset_after": BOOL,
        },
        gru,
        ("x", "lengths", "scores"),
        outputs=lambda a: (
            (1, "steps") if a["return_sequence"] else None,
            *[None] * a["return_state"],
        ),
        omitted=lambda a: ("scores",) * (a["gru_type"] in ("GRU", "AIGRU")),
        requires_mask=True,
        needs_width="x",
        **LENGTHS_AND_MASK,
    ),
    Layer(
        BiLSTM,
        {"x": STEPS_DIM},
        {
            "units": (2, 3, 1),
            "layers": (1, 2),
            "res_layers": (1, 0),
            "dropout_rate": (0.5, 0.0),
            "merge_mode": ("sum", "fw", "bw", "mul", "ave", "concat", None),
            **SEED,
            **KERNELS,
        },
        lambda f, v, w, a: ref_recurrence.bilstm(
            f["x"], v["steps"], w, a["layers"], a["res_layers"], a["merge_mode"]
        ),
        outputs=lambda a: STEPS * (1 if a["merge_mode"] else 2),
        settled=lambda a, sizes: {
            "res_layers": min(
                a["res_layers"], a["layers"] - (a["units"] != sizes["dim"])
            )
        },
        needs_width="x",
        **X_LENGTHS,
    ),
    Layer(
        BiasEncoding,
        {"session_0": STEPS_DIM, "session_1": ("other dim",)},
        {"sess_max_count": (2,), **SEED, **MAX_STEPS},
        bias_encoding,
        outputs=lambda a: ((1, "steps"), (1, "other")),
        empty_is_zero=False,
        own_padding=True,
        needs_width="inputs",
        is_list=True,
    ),
    Layer(
        PositionEncoding,
        {"inputs": STEPS_DIM},
        {
            "pos_embedding_trainable": NOT,
            "zero_pad": BOOL,
            "scale": NOT,
            **MAX_STEPS,
        },
        position_encoding,
        ("inputs", "lengths"),
        {"lengths": "steps"},
        ("inputs",),
        lambda a: STEPS,
        needs_width="inputs",
    ),
    Layer(
        Transformer,
        {"queries": ("queries dim",), "keys": STEPS_DIM},
        {
            "att_embedding_size": (2, 4, 1),
            "head_num": (2, 1),
            "dropout_rate": (0.5, 0.0),
            "use_positional_encoding": NOT,
            "use_res": NOT,
            "use_feed_forward": NOT,
            "use_layer_norm": BOOL,
            "blinding": NOT,
            **SEED,
            **SWITCH,
            "attention_type": ("cos", "scaled_dot_product", "ln", "additive"),
            "output_type": ("sum", "mean", "masked_mean", "masked_sum", None),
            **MAX_STEPS,
            "window": (2, None),
            **KERNELS,
        },
        transformer,
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
    """

    name: str
    layer: Layer
    arguments: Mapping[str, Any]
    sizes: Mapping[str, int] = field(default_factory=dict)
    call: Mapping[str, Any] = field(default_factory=dict)

    @property
    def known(self):
        return self.layer.defaults | self.arguments | self.call

    def computed(self, masks=False):
        """A trial, its layer and its outputs, which no test may change."""
        return computed(self.name, masks)

    def trial(self, measured=False, draw=draw32, masks=False):
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
        used = {t.split()[0] for t in axes.values()} & {*LENGTHS}
        lengths = {x: np.minimum(LENGTHS[x], sizes[x]) for x in used}
        has_lengths = layer.lengths and not masks
        valid = {
            x: np.ones((sizes["batch"], sizes[x]), bool)
            if layer.is_list
            else np.arange(sizes[x]) < n[:, None]
            if has_lengths
            else MASKS[x][:, : sizes[x]]
            for x, n in lengths.items()
        }
        named = {n: lengths[x] for n, x in layer.lengths.items()}
        return layer.trial(
            self.arguments,
            features,
            valid,
            axes,
            measured,
            lengths=named if has_lengths else None,
            call=dict(self.call),
        )


@functools.cache
def computed(name, masks):
    trial = BY_NAME[name].trial(measured=True, masks=masks)
    layer = trial.built()
    return trial, layer, trial.run(layer)


SPLIT = {"sizes": {"steps": 3, "dim": 5}}  # the other form of din_hidden
TRAINING = {"call": {"training": True}}
BOTH = {"call": {"return_attention_scores": True}}
SOFTMAX = {"weight_normalization": True}
SCORE = {"return_score": True}
PLAIN = {"use_feed_forward": False, "use_res": False}
COS, ADDITIVE = {"attention_type": "cos"}, {"attention_type": "additive"}
FIXED = {"pos_embedding_trainable": False}
NO_POSITIONS = {"use_positional_encoding": False}
# The class and default arguments of the examples whose names start so.
FAMILIES = {
    "pooling": ("SequencePoolingLayer", {}),
    "weighted": ("WeightedSequenceLayer", {}),
    "k-max": ("KMaxPooling", {"k": 2}),
    "attention": (
        "AttentionSequencePoolingLayer",
        {"att_hidden_units": (5, 4), "att_activation": "sigmoid"},
    ),
    "local-activation-unit": ("LocalActivationUnit", {"hidden_units": (5, 4)}),
    "dice": ("Dice", {}),
    "batch-normalization": ("BatchNormalization", {}),
    "layer-normalization": ("LayerNormalization", {}),
    "dnn": ("DNN", {"hidden_units": (5, 4), "output_activation": "sigmoid"}),
    "prediction": ("PredictionLayer", {}),
    "auxiliary-loss": ("AuxiliaryLoss", {"hidden_units": (4,)}),
    "gru": ("DynamicGRU", {}),
    "bilstm": ("BiLSTM", {"units": 2, "layers": 1, "dropout_rate": 0.0}),
    "transformer": (
        "Transformer",
        {"att_embedding_size": 2, "head_num": 2, **NO_POSITIONS},
    ),
    "positions": ("PositionEncoding", {}),
    "bias-encoding": ("BiasEncoding", {"sess_max_count": 2, "max_steps": 20}),
}


def example(name, options):
    family = next(f for f in FAMILIES if name.startswith(f))
    cls, defaults = FAMILIES[family]
    fields = {n: options[n] for n in ("sizes", "call") if n in options}
    arguments = {n: x for n, x in options.items() if n not in fields}
    return Example(name, BY_CLASS[cls], defaults | arguments, **fields)


# For the tests of all layers.
MAIN = {
    "pooling-sum-lengths": {"mode": "sum"},
    "pooling-mean-lengths": {"mode": "mean"},
    "pooling-max-mask": {"mode": "max"},
    "weighted-softmax-lengths": {},
    "weighted-plain-mask": {"weight_normalization": False},
    "k-max-steps-lengths": {},
    "k-max-dim-mask": {"axis": 2},
    "attention-sigmoid": {},
    "attention-softmax": SOFTMAX,
    "attention-score": SCORE,
    "attention-dice": {"att_activation": "dice"},
    "local-activation-unit": {},
    "dice-inference-mask": {},
    "batch-normalization-mask": {},
    "layer-normalization-mask": {},
    "dnn-mask": {},
    "prediction": {},
    "auxiliary-loss": {},
    "gru-plain": {"num_units": 4},
    "gru-mask-state-mask": {"num_units": 2, "return_state": True},
    "gru-augru": {"num_units": 4, "gru_type": "AUGRU"},
    "gru-augru-paper": {
        "gru_type": "AUGRU",
        "augru_form": "paper",
        "num_units": 2,
        "return_sequence": False,
    },
    "bilstm-ave": {},
    "bilstm-two-layers": {"layers": 2, "res_layers": 1},
    "bilstm-residual-mask": {"units": 3, "res_layers": 1, "merge_mode": None},
    "transformer-mean": {},
    "transformer-masked-mean-mask": {"output_type": "masked_mean"},
    "transformer-positions": {
        "use_positional_encoding": True,
        "output_type": "masked_mean",
        "max_steps": 20,
    },
    "transformer-layer-norm-mask": {
        "use_layer_norm": True,
        "blinding": False,
        "output_type": None,
    },
    "transformer-additive": PLAIN | ADDITIVE | {"output_type": "sum"},
    "positions-trained": {"max_steps": 20},
    "bias-encoding": {},
}
# For the comparison with the reference only.
OTHERS = {
    "gru-reset-after": {
        "gru_type": "AUGRU",
        "augru_form": "paper",
        "reset_after": True,
    },
    "pooling-sum-mask": {"mode": "sum"},
    "pooling-mean-mask": {"mode": "mean"},
    "pooling-max-lengths": {"mode": "max"},
    "weighted-fractions-lengths": {"weight_normalization": "sum"},
    "weighted-fractions-mask": {"weight_normalization": "sum"},
    "attention-sigmoid-split": SPLIT,
    "attention-softmax-split": SPLIT | SOFTMAX,
    "attention-relu-mask": {"att_activation": "relu"},
    "attention-tanh": {"att_activation": "tanh"},
    "attention-softmax-score-mask": SOFTMAX | SCORE,
    "attention-both": BOTH,
    "attention-both-split": SPLIT | BOTH,
    "attention-dice-training": {"att_activation": "dice"} | TRAINING,
    "attention-dice-training-mask": {"att_activation": "dice"} | TRAINING,
    "attention-prelu": {"att_activation": "prelu"},
    "attention-one-layer": {"att_hidden_units": (4,)},
    "attention-no-layer": {"att_hidden_units": ()},
    "dice-training-mask": TRAINING,
    "batch-normalization-training-mask": TRAINING,
    "gru-last": {"return_sequence": False},
    "gru-agru": {"num_units": 4, "gru_type": "AGRU"},
    "gru-augru-mask": {"gru_type": "AUGRU"},
    "bilstm-concat-mask": {"merge_mode": "concat"},
    "bilstm-mul": {"units": 4, "merge_mode": "mul"},
    "transformer-cos": PLAIN | COS | {"output_type": "masked_sum"},
    "transformer-ln": {"attention_type": "ln", "output_type": None, **PLAIN},
    "transformer-window-mask": {"window": 2, "output_type": None},
    "positions-zero-pad-fixed": {"zero_pad": True} | FIXED,
    "positions-unscaled-mask": {"scale": False},
}
MAIN = [example(*item) for item in MAIN.items()]
EXAMPLES = MAIN + [example(*item) for item in OTHERS.items()]
BY_NAME = {e.name: e for e in EXAMPLES}
# For the tests of what each layer does alike, the last of each layer and more.
SOME = [
    *{e.layer.name: e for e in MAIN}.values(),
    BY_NAME["k-max-steps-lengths"],
    BY_NAME["gru-plain"],
    BY_NAME["transformer-layer-norm-mask"],
    BY_NAME["transformer-positions"],
]
# For tests of what all backends share, where XLA or OpenVINO compiles each.
FEWER = SOME if keras.backend.backend() in COMPILING else MAIN


def each(examples=MAIN, argument="example"):
    return pytest.mark.parametrize(
        argument, [pytest.param(e, id=e.name) for e in examples]
    )


# Every layer's computations, with their float64 references.
COMPUTATIONS = {
    e.name: e.trial(True, draw, e.name.endswith("-mask")).computation()
    for e in EXAMPLES
}
