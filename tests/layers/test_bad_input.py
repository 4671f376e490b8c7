"""Wrong arguments and inputs are refused at once, and said what is wrong."""

import inspect
import re

import keras
import numpy as np
import pytest

import kseq.layers
from kseq.checks import describe_inputs
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
    positional_encoding,
)
from tests.layers.examples import ARRAYS, EXAMPLES, LENGTHS, MASK, draw, names

X, QUERY, WEIGHTS = ARRAYS["x"], ARRAYS["query"], ARRAYS["weights"]

NAN, INFINITY, HUGE = float("nan"), float("inf"), 10**30
NO_BOOLS = (None, 0, 1, "yes", [True], np.True_)
NO_INTEGERS = ("3", 1.0, NAN, True, [3], {}, 1j)
NO_NUMBERS = (None, "1", True, [0.5], NAN, INFINITY, 1j)


def one_of(*options):
    told = "one of " + ", ".join(map(repr, options))
    other = [None] if None not in options else []
    return told, ("other", "", 1, True, ["sum"], {}, *other)


BOOL = "True or False", NO_BOOLS
INT = "an integer", (None, *NO_INTEGERS)
POSITIVE = "a positive integer", (None, 0, -1, *NO_INTEGERS)
MAYBE_POSITIVE = "a positive integer", (0, -1, *NO_INTEGERS)
WIDTHS = (
    "a sequence of positive integers",
    (None, 4, "80", b"80", {4: 1}, {4}, (4, 0), (-1,), (1.5,), ("4",), (True,)),
)
SEED = "an integer from 0 to 2147483647", (-1, 2**31, HUGE, *NO_INTEGERS)
RATE = "a number in [0, 1)", (-0.1, 1.0, 1, 2, *NO_NUMBERS)
AT_LEAST_0 = "a finite number of at least 0", (-1, -1e-9, *NO_NUMBERS)
ABOVE_0 = "a finite number above 0", (0, -1e-9, *NO_NUMBERS)
ACTIVATION = (
    "the name of a Keras activation, 'dice', a function, or a keras layer or "
    "its class",
    ("nope", 3, 1.5, dict, [1], object),
)
MAYBE_ACTIVATION = ACTIVATION
GRU_TYPES = one_of("GRU", "AIGRU", "AGRU", "AUGRU")

# Of each argument of each constructor: what is expected, and what is not it.
CONSTRUCTORS = {
    AttentionSequencePoolingLayer: {
        "att_hidden_units": WIDTHS,
        "att_activation": ACTIVATION,
        "weight_normalization": BOOL,
        "return_score": BOOL,
        "supports_masking": BOOL,
    },
    AuxiliaryLoss: {
        "alpha": AT_LEAST_0,
        "hidden_units": WIDTHS,
        "activation": ACTIVATION,
        "seed": SEED,
    },
    BatchNormalization: {
        "axis": INT,
        "momentum": RATE,
        "epsilon": ABOVE_0,
        "center": BOOL,
        "scale": BOOL,
    },
    BiasEncoding: {
        "sess_max_count": POSITIVE,
        "seed": SEED,
        "max_steps": MAYBE_POSITIVE,
    },
    BiLSTM: {
        "units": POSITIVE,
        "layers": POSITIVE,
        "res_layers": INT,
        "dropout_rate": RATE,
        "merge_mode": one_of("fw", "bw", "sum", "mul", "ave", "concat", None),
        "seed": SEED,
    },
    Dice: {"axis": INT, "epsilon": ABOVE_0},
    DNN: {
        "hidden_units": WIDTHS,
        "activation": ACTIVATION,
        "l2_reg": AT_LEAST_0,
        "dropout_rate": RATE,
        "use_bn": BOOL,
        "output_activation": MAYBE_ACTIVATION,
        "seed": SEED,
    },
    DynamicGRU: {
        "num_units": MAYBE_POSITIVE,
        "gru_type": GRU_TYPES,
        "return_sequence": BOOL,
        "return_state": BOOL,
        "augru_form": one_of("deepctr", "paper"),
    },
    KMaxPooling: {"k": POSITIVE, "axis": INT},
    LayerNormalization: {"epsilon": AT_LEAST_0},
    LocalActivationUnit: {
        "hidden_units": WIDTHS,
        "activation": ACTIVATION,
        "l2_reg": AT_LEAST_0,
        "dropout_rate": RATE,
        "use_bn": BOOL,
        "seed": SEED,
    },
    PositionEncoding: {
        "pos_embedding_trainable": BOOL,
        "zero_pad": BOOL,
        "scale": BOOL,
        "max_steps": MAYBE_POSITIVE,
    },
    PredictionLayer: {
        "task": one_of("binary", "regression"),
        "use_bias": BOOL,
    },
    SequencePoolingLayer: {
        "mode": one_of("sum", "mean", "max"),
        "supports_masking": BOOL,
    },
    Transformer: {
        "att_embedding_size": POSITIVE,
        "head_num": POSITIVE,
        "dropout_rate": RATE,
        "use_positional_encoding": BOOL,
        "use_res": BOOL,
        "use_feed_forward": BOOL,
        "use_layer_norm": BOOL,
        "blinding": BOOL,
        "seed": SEED,
        "supports_masking": BOOL,
        "attention_type": one_of("scaled_dot_product", "cos", "ln", "additive"),
        "output_type": one_of("mean", "sum", "masked_mean", "masked_sum", None),
        "max_steps": MAYBE_POSITIVE,
    },
    WeightedSequenceLayer: {
        "weight_normalization": BOOL,
        "supports_masking": BOOL,
    },
    positional_encoding: {
        "pos_embedding_trainable": BOOL,
        "zero_pad": BOOL,
        "scale": BOOL,
        "max_steps": MAYBE_POSITIVE,
    },
}
# Without a default.
NEEDED = {
    DNN: {"hidden_units": (4,)},
    BiLSTM: {"units": 2},
    BiasEncoding: {"sess_max_count": 1},
    positional_encoding: {"inputs": X},
}


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        pytest.param(make, argument, id=f"{make.__name__}-{argument}")
        for make, arguments in CONSTRUCTORS.items()
        for argument in arguments
    ],
)
def test_a_constructor_refuses(make, argument):
    expected, others = CONSTRUCTORS[make][argument]
    for wrong in others:
        received = tuple(wrong) if isinstance(wrong, list) else wrong
        messages = {
            f"{argument}: expected {expected}; received {wrong!r}",
            f"{argument}: expected {expected}; received {received!r}",
        }
        with pytest.raises(ValueError, match="expected") as caught:
            make(**NEEDED.get(make, {}) | {argument: wrong})
        assert str(caught.value) in messages


def test_of_an_activation_s_config_keras_has_the_reason():
    message = (
        f"activation: expected {ACTIVATION[0]}; received "
        "{'class_name': 'nope'} (Could not interpret activation"
    )
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        DNN((2,), {"class_name": "nope"})


@pytest.mark.parametrize("wrong", [-1, 3])
def test_residual_layers_are_among_the_layers(wrong):
    with pytest.raises(
        ValueError,
        match=rf"^res_layers: expected 0 to layers \(2\); received {wrong}$",
    ):
        BiLSTM(2, res_layers=wrong)


def test_every_argument_of_every_layer_is_in_the_table():
    there = {
        (name, argument)
        for name, make in vars(kseq.layers).items()
        if inspect.isclass(make) or inspect.isfunction(make)
        for argument in inspect.signature(make).parameters
        if argument not in ("inputs", "kwargs")  # those of the calls
    }
    assert there == {
        (make.__name__, argument)
        for make, arguments in CONSTRUCTORS.items()
        for argument in arguments
    }


@pytest.mark.parametrize("seed", [0, 2**31 - 1])
def test_the_seeds_that_are_taken_work_everywhere(seed):
    BiLSTM(2, seed=seed).build(X.shape)
    DNN((2,), seed=seed).build(X.shape)


# What each layer is called with: its inputs by name, and a mask or none.
SCORES = draw(4, 5, 1)
RIGHT = {
    "pooling": (SequencePoolingLayer, {"x": X, "lengths": LENGTHS}, None),
    "pooling, mask": (SequencePoolingLayer, {"x": X}, MASK),
    "weighted": (
        WeightedSequenceLayer,
        {"x": X, "lengths": LENGTHS, "weights": WEIGHTS},
        None,
    ),
    "k-max": (KMaxPooling, {"x": X}, MASK),
    "attention": (
        lambda: AttentionSequencePoolingLayer((4,)),
        {"query": QUERY, "keys": X, "lengths": LENGTHS},
        None,
    ),
    "attention, mask": (
        lambda: AttentionSequencePoolingLayer((4,)),
        {"query": QUERY, "keys": X},
        MASK,
    ),
    "unit": (
        lambda: LocalActivationUnit((4,)),
        {"query": QUERY, "keys": X},
        [None, MASK],
    ),
    "gru": (lambda: DynamicGRU(3), {"x": X, "lengths": LENGTHS}, None),
    "augru": (
        lambda: DynamicGRU(3, "AUGRU"),
        {"x": X, "lengths": LENGTHS, "scores": SCORES},
        None,
    ),
    "bilstm": (lambda: BiLSTM(2), {"x": X, "lengths": LENGTHS}, None),
    "transformer": (
        lambda: Transformer(1, 3),
        {
            "queries": X,
            "keys": X,
            "query_lengths": LENGTHS,
            "key_lengths": LENGTHS,
        },
        None,
    ),
    "transformer, masks": (
        lambda: Transformer(3, 1),
        {"queries": X, "keys": X},
        [MASK, MASK],
    ),
    "bias": (lambda: BiasEncoding(2), {"session 0": X, "session 1": X}, None),
    "auxiliary": (
        AuxiliaryLoss,
        {"states": draw(4, 5, 2), "clicks": X, "negatives": X}
        | {"lengths": LENGTHS},
        None,  # its own test
    ),
    "positions": (PositionEncoding, {"inputs": X}, MASK),
    "prediction": (PredictionLayer, {"inputs": X}, None),
    "dnn": (lambda: DNN((4,)), {"inputs": X}, MASK),
    "dice": (Dice, {"inputs": X}, MASK),
    "batch": (BatchNormalization, {"inputs": X}, MASK),
    "layer": (LayerNormalization, {"inputs": X}, MASK),
}


def inputs_of(given):
    """As a layer takes them: `{"inputs": x}` alone, others as a list."""
    given = list(given.values())
    return given[0] if len(given) == 1 else given


def built(name):
    """The layer, built and not called, which would take JAX long."""
    make, given, _ = RIGHT[name]
    layer = make()
    layer.build(inputs_of({key: x.shape for key, x in given.items()}))
    return layer


def mask_options(mask):
    return {} if mask is None else {"mask": mask}


def symbolic(value):
    """The same as a functional model gives it."""

    def symbol(x):
        if not isinstance(x, np.ndarray) or x.dtype.kind not in "bfiuc":
            return x
        return keras.Input(batch_shape=x.shape, dtype=x.dtype.name)

    return keras.tree.map_structure(symbol, value)


def refuses(message, layer, given, mask=None, **options):
    """Eager and symbolic calls fail with the message."""
    for of in (lambda value: value, symbolic):
        with pytest.raises(ValueError, match="expected") as caught:
            layer(of(given), **mask_options(of(mask)), **options)
        # What came in `call` Keras surrounds with more.
        said = str(caught.value).split("\x1b[1m")[-1].split("\x1b[0m")[0]
        assert said == message


NUMBERS = "a tensor of floats or integers"
NO_TENSORS = (None, "abc", 3, {"a": 1}, object())
NO_DTYPES = ("complex64", "bool", "object", "U1")


@pytest.mark.parametrize(
    ("name", "argument"),
    [(name, argument) for name in RIGHT for argument in RIGHT[name][1]],
)
def test_inputs_that_are_no_tensors_of_numbers_are_refused(name, argument):
    make, given, mask = RIGHT[name]
    expected = "integers or whole floats" if "lengths" in argument else NUMBERS
    for layer in (make(), built(name)):
        for wrong in NO_TENSORS:
            if wrong is None and len(given) == 1:
                continue  # see "none" below
            refuses(
                f"{argument}: expected {expected}; received {wrong!r}",
                layer,
                inputs_of(given | {argument: wrong}),
                mask,
            )
        for dtype in NO_DTYPES:
            wrong = given[argument].astype(dtype)
            refuses(
                f"{argument}: expected {expected}; received dtype "
                f"{wrong.dtype}",
                layer,
                inputs_of(given | {argument: wrong}),
                mask,
            )
    assert make().weights == []


@pytest.mark.parametrize(
    "name", [name for name in RIGHT if RIGHT[name][2] is not None]
)
def test_what_is_no_mask_of_the_inputs_is_refused(name):
    make, given, mask = RIGHT[name]
    inputs, layer = inputs_of(given), make()
    alone = MASK if isinstance(mask, list) else mask
    last = [*given][-1]
    expected = "mask: expected bools, or integers 0 and 1; received"

    def masks(wrong):
        return [None, wrong] if isinstance(mask, list) else wrong

    for wrong in ("abc", 3, {"a": 1}):
        refuses(f"{expected} {wrong!r}", layer, inputs, masks(wrong))
    # 0.5 is half a weight, and 0 among floats may be what is added to a score.
    for dtype in ("float32", "float16", "complex64", "object", "U1"):
        wrong = alone.astype(dtype)
        refuses(f"{expected} dtype {wrong.dtype}", layer, inputs, masks(wrong))
    for axis, wrong in ((0, MASK[:2]), (1, MASK[:, :1])):
        refuses(
            f"mask and {last}: expected equal sizes on axis {axis}; received "
            f"{ {'mask': wrong.shape, last: X.shape} }",
            layer,
            inputs,
            masks(wrong),
        )
    ranks = "1 or 2 or 3" if last == "inputs" else "2"
    refuses(
        f"mask: expected a tensor of rank {ranks}; received shape (4, 5, 1, 1)",
        layer,
        inputs,
        masks(MASK[..., None, None]),
    )


RANK = "expected a tensor of rank "
SAME = "expected equal sizes on axis "
BUILT = "for which the layer was built; received shape "
POOLING = "inputs: expected [x, lengths], or [x] with a mask; received "
SHAPE = "expected shape "
BEYOND = "inputs: expected at most 5 steps (max_steps); received 7"
WIDE = draw(4, 5, 6)
LONG = draw(4, 7, 3)
QUERIES = (
    "inputs: expected [queries, keys, query_lengths, key_lengths], or [queries,"
    " keys] with masks; received "
)

# What the layer is called with instead, and the error.
CALLS = [
    ("pooling", {"inputs": None}, POOLING + "None"),
    ("pooling", {"inputs": []}, POOLING + "[]"),
    (
        "pooling",
        {"inputs": [X, LENGTHS, X]},
        f"{POOLING}{describe_inputs([X, LENGTHS, X])!r}",
    ),
    ("pooling", {"x": X[0]}, f"x: {RANK}3; received shape (5, 3)"),
    (
        "pooling",
        {"x": X[..., None]},
        f"x: {RANK}3; received shape {(*X.shape, 1)}",
    ),
    (
        "pooling",
        {"lengths": LENGTHS[:, None, None]},
        f"lengths: {RANK}1 or 2; received shape (4, 1, 1)",
    ),
    (
        "pooling",
        {"lengths": np.int32(2)},
        f"lengths: {RANK}1 or 2; received shape ()",
    ),
    (
        "pooling",
        {"lengths": np.stack([LENGTHS, LENGTHS], 1)},
        f"lengths: {SHAPE}(batch, 1) or (batch,); received (4, 2)",
    ),
    (
        "pooling",
        {"lengths": LENGTHS[:2]},
        "lengths: expected one for each of the 4 x; received shape (2,)",
    ),
    (
        "weighted",
        {"inputs": X},
        "inputs: expected [x, lengths, weights], or [x, weights] with a mask; "
        f"received {describe_inputs(X)!r}",
    ),
    (
        "weighted",
        {"inputs": [X, LENGTHS, WEIGHTS, X]},
        "inputs: expected [x, lengths, weights], or [x, weights] with a mask; "
        f"received {describe_inputs([X, LENGTHS, WEIGHTS, X])!r}",
    ),
    ("weighted", {"x": X[0]}, f"x: {RANK}3; received shape (5, 3)"),
    (
        "weighted",
        {"weights": WEIGHTS[0]},
        f"weights: {RANK}2 or 3; received shape (5,)",
    ),
    (
        "weighted",
        {"weights": X},
        f"weights: {SHAPE}(batch, steps) or (batch, steps, 1); "
        "received (4, 5, 3)",
    ),
    (
        "weighted",
        {"weights": WEIGHTS[:2]},
        f"x and weights: {SAME}0; "
        "received {'x': (4, 5, 3), 'weights': (2, 5)}",
    ),
    (
        "weighted",
        {"weights": WEIGHTS[:, :2]},
        f"x and weights: {SAME}1; "
        "received {'x': (4, 5, 3), 'weights': (4, 2)}",
    ),
    ("k-max", {"inputs": []}, POOLING + "[]"),
    (
        "k-max",
        {"layer": lambda: KMaxPooling(9)},
        "k: expected at most the size 5 of axis 1; received 9",
    ),
    (
        "k-max",
        {"layer": lambda: KMaxPooling(4, axis=-1)},
        "k: expected at most the size 3 of axis 2; received 4",
    ),
    *(
        (
            "k-max",
            {"layer": lambda axis=axis: KMaxPooling(1, axis)},
            f"axis: expected 1 to 2, or -2 to -1; received {axis}",
        )
        for axis in (3, 0, -3)
    ),
    (
        "attention",
        {"inputs": [QUERY]},
        "inputs: expected [query, keys, lengths], or [query, keys] with a mask;"
        f" received {describe_inputs([QUERY])!r}",
    ),
    (
        "attention",
        {"query": QUERY[:, 0]},
        f"query: {RANK}3; received shape (4, 3)",
    ),
    ("attention", {"keys": X[:, 0]}, f"keys: {RANK}3; received shape (4, 3)"),
    (
        "attention",
        {"query": QUERY[:2]},
        f"query and keys: {SAME}0; "
        "received {'query': (2, 2, 3), 'keys': (4, 5, 3)}",
    ),
    (
        "attention",
        {"query": draw(4, 2, 6)},
        f"query and keys: {SAME}-1; "
        "received {'query': (4, 2, 6), 'keys': (4, 5, 3)}",
    ),
    (
        "attention",
        {"lengths": LENGTHS[:2]},
        "lengths: expected one for each of the 4 keys; received shape (2,)",
    ),
    (
        "attention, mask",
        {"mask": [MASK]},
        "mask: expected one for each input of ('query', 'keys'); received "
        f"{describe_inputs([MASK])!r}",
    ),
    (
        "attention",
        {"return_attention_scores": 1},
        "return_attention_scores: expected True or False; received 1",
    ),
    (
        "unit",
        {"inputs": X},
        f"inputs: expected [query, keys]; received {describe_inputs(X)!r}",
    ),
    (
        "unit",
        {"inputs": [QUERY, X, X]},
        f"inputs: expected [query, keys]; received {describe_inputs([QUERY, X, X])!r}",
    ),
    (
        "unit",
        {"query": draw(4, 2, 6)},
        f"query and keys: {SAME}-1; "
        "received {'query': (4, 2, 6), 'keys': (4, 5, 3)}",
    ),
    (
        "unit",
        {"mask": [MASK]},
        "mask: expected that of the keys, or [None, that]; received "
        f"{describe_inputs([MASK])!r}",
    ),
    ("gru", {"x": X[0]}, f"x: {RANK}3; received shape (5, 3)"),
    (
        "gru",
        {"initial_state": draw(4, 2, 3)},
        f"initial_state: {RANK}2; received shape (4, 2, 3)",
    ),
    (
        "gru",
        {"initial_state": draw(2, 3)},
        f"x and initial_state: {SAME}0; "
        "received {'x': (4, 5, 3), 'initial_state': (2, 3)}",
    ),
    (
        "gru",
        {"initial_state": draw(4, 5)},
        f"units and initial_state: {SAME}-1; "
        "received {'units': (3,), 'initial_state': (4, 5)}",
    ),
    (
        "gru",
        {"initial_state": np.ones((4, 3), "complex64")},
        f"initial_state: expected {NUMBERS}; received dtype complex64",
    ),
    (
        "gru",
        {"initial_state": "zeros"},
        f"initial_state: expected {NUMBERS}; received 'zeros'",
    ),
    (
        "augru",
        {"inputs": [X, LENGTHS]},  # known by how many there are
        f"scores: {RANK}2 or 3, the last of [x, lengths, scores]; "
        "received shape (4,)",
    ),
    (
        "augru",
        {"scores": SCORES[:, :2]},
        f"scores: {SHAPE}(batch, steps, 1), (batch, 1, steps) or (batch, steps)"
        " for x of shape (4, 5, 3); received (4, 2, 1)",
    ),
    (
        "augru",
        {"scores": SCORES[:2]},
        f"x and scores: {SAME}0; "
        "received {'x': (4, 5, 3), 'scores': (2, 5, 1)}",
    ),
    ("bilstm", {"x": X[0]}, f"x: {RANK}3; received shape (5, 3)"),
    (
        "bilstm",
        {"layer": lambda: BiLSTM(2, res_layers=2)},
        "res_layers: expected at most 1, or units of the input's width 3; "
        "received '2 with units 2'",
    ),
    ("transformer", {"inputs": X}, f"{QUERIES}{describe_inputs(X)!r}"),
    (
        "transformer",
        {"inputs": [X, X, LENGTHS]},
        f"{QUERIES}{describe_inputs([X, X, LENGTHS])!r}",
    ),
    (
        "transformer",
        {"queries": X[0]},
        f"queries: {RANK}3; received shape (5, 3)",
    ),
    (
        "transformer",
        {"keys": X[:2]},
        f"queries and keys: {SAME}0; "
        "received {'queries': (4, 5, 3), 'keys': (2, 5, 3)}",
    ),
    (
        "transformer",
        {"keys": WIDE},
        f"queries and keys: {SAME}-1; "
        "received {'queries': (4, 5, 3), 'keys': (4, 5, 6)}",
    ),
    (
        "transformer",
        {"layer": lambda: Transformer(2, 2)},
        "att_embedding_size * head_num: expected the width of the inputs, 3; "
        "received 2 * 2",
    ),
    (
        "transformer",
        {"query_lengths": LENGTHS[:2]},
        "query_lengths: expected one for each of the 4 queries; "
        "received shape (2,)",
    ),
    (
        "transformer",
        {"key_lengths": WEIGHTS},
        f"key_lengths: {SHAPE}(batch, 1) or (batch,); received (4, 5)",
    ),
    (
        "transformer, masks",
        {"mask": MASK},
        f"mask: expected [query_mask, key_mask]; received {describe_inputs(MASK)!r}",
    ),
    (
        "bias",
        {"inputs": X},
        f"inputs: expected 2 sessions; received {describe_inputs(X)!r}",
    ),
    (
        "bias",
        {"inputs": [X, X, X]},
        f"inputs: expected 2 sessions; received {describe_inputs([X, X, X])!r}",
    ),
    ("bias", {"session 1": X[0]}, f"session 1: {RANK}3; received shape (5, 3)"),
    (
        "bias",
        {"session 1": X[:2]},
        f"session 0 and session 1: {SAME}0; "
        "received {'session 0': (4, 5, 3), 'session 1': (2, 5, 3)}",
    ),
    (
        "bias",
        {"session 1": WIDE},
        f"session 0 and session 1: {SAME}-1; "
        "received {'session 0': (4, 5, 3), 'session 1': (4, 5, 6)}",
    ),
    (
        "auxiliary",
        {"inputs": [X, X]},
        "inputs: expected [states, clicks, negatives, lengths], or [states, "
        f"clicks, negatives] with a mask; received {describe_inputs([X, X])!r}",
    ),
    (
        "auxiliary",
        {"clicks": X[0]},
        f"clicks: {RANK}3; received shape (5, 3)",
    ),
    (
        "auxiliary",
        {"negatives": WIDE},
        f"clicks and negatives: {SAME}-1; "
        "received {'clicks': (4, 5, 3), 'negatives': (4, 5, 6)}",
    ),
    (
        "auxiliary",
        {"lengths": LENGTHS[:2]},
        "lengths: expected one for each of the 4 states; received shape (2,)",
    ),
    ("positions", {"inputs": X[0]}, f"inputs: {RANK}3; received shape (5, 3)"),
    (
        "positions",
        {"mask": [MASK]},
        "mask: expected bools, or integers 0 and 1; received "
        f"{describe_inputs([MASK])!r}",
    ),
    (
        "positions",
        {"layer": lambda: PositionEncoding(max_steps=4)},
        "inputs: expected at most 4 steps (max_steps); received 5",
    ),
    (
        "dnn",
        {"inputs": X[0, 0]},
        f"inputs: {RANK}2 or more; received shape (3,)",
    ),
    *(
        (
            name,
            {key: X[0, 0]},
            f"{key}: {RANK}2 or more; received shape (3,)",
        )
        for name, key in (
            ("dice", "inputs"),
            ("batch", "inputs"),
            ("k-max", "x"),
        )
    ),
    (
        "layer",
        {"inputs": np.float32(1)},
        f"inputs: {RANK}1 or more; received shape ()",
    ),
    *(
        (
            name,
            {"layer": lambda cls=cls, axis=axis: cls(axis)},
            f"axis: expected 1 to 2, or -2 to -1; received {axis}",
        )
        for name, cls in (("dice", Dice), ("batch", BatchNormalization))
        for axis in (0, 3, -3)
    ),
]
# The same, of a layer that was built for what is right.
BUILT_CALLS = [
    ("attention", {"keys": WIDE, "query": draw(4, 2, 6)}, "keys", 3, -1),
    ("unit", {"keys": WIDE, "query": draw(4, 2, 6)}, "keys", 3, -1),
    ("gru", {"x": WIDE}, "x", 3, -1),
    ("augru", {"x": WIDE}, "x", 3, -1),
    ("bilstm", {"x": WIDE}, "x", 3, -1),
    ("bias", {"session 0": WIDE, "session 1": WIDE}, "session 0", 3, -1),
    ("auxiliary", {"states": WIDE}, "states", 2, -1),
    ("auxiliary", {"clicks": WIDE, "negatives": WIDE}, "clicks", 3, -1),
    ("positions", {"inputs": WIDE}, "inputs", 3, -1),
    ("dnn", {"inputs": WIDE}, "inputs", 3, -1),
    ("dice", {"inputs": WIDE}, "inputs", 3, -1),
    ("batch", {"inputs": WIDE}, "inputs", 3, 2),
    ("layer", {"inputs": WIDE}, "inputs", 3, -1),
]
BUILT_LONGER = [
    ("transformer", {"keys": LONG}),
    ("transformer", {"queries": LONG}),
    ("bias", {"session 1": LONG}),
    ("positions", {"inputs": LONG}),
]


def ids(rows):
    return [f"{row[0]}-{'-'.join(row[1])}-{i}" for i, row in enumerate(rows)]


@pytest.mark.parametrize(("name", "wrong", "message"), CALLS, ids=ids(CALLS))
def test_a_call_refuses(name, wrong, message):
    make, given, mask = RIGHT[name]
    options = {
        key: value
        for key, value in wrong.items()
        if key not in {*given, "inputs", "layer", "mask"}
    }
    inputs = inputs_of({k: wrong.get(k, x) for k, x in given.items()})
    layer = wrong.get("layer", make)()
    refuses(
        message,
        layer,
        wrong.get("inputs", inputs),
        wrong.get("mask", mask),
        **options,
    )
    assert layer.built or layer.weights == []  # not built by half


each_other_width = pytest.mark.parametrize(
    ("name", "wrong", "said", "size", "axis"),
    BUILT_CALLS,
    ids=ids(BUILT_CALLS),
)


@each_other_width
def test_a_built_layer_refuses_another_width(name, wrong, said, size, axis):
    _, given, mask = RIGHT[name]
    refuses(
        f"{said}: expected size {size} on axis {axis}, {BUILT}"
        f"{wrong[said].shape}",
        built(name),
        inputs_of(given | wrong),
        mask,
    )


@each_other_width
def test_and_so_does_the_shape_of_its_output(name, wrong, said, size, axis):
    _, given, _ = RIGHT[name]
    with pytest.raises(ValueError, match=f"^{said}: expected size {size} on"):
        built(name).compute_output_shape(
            keras.tree.map_structure(np.shape, inputs_of(given | wrong))
        )


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_no_shape_has_no_shape_of_the_output(name):
    make, given, _ = RIGHT[name]
    for argument in given:
        shapes = {key: np.shape(x) for key, x in given.items()}
        told = f"^{argument}: expected the shape"
        with pytest.raises(ValueError, match=told):
            make().compute_output_shape(inputs_of(shapes | {argument: "abc"}))


@pytest.mark.parametrize(("name", "wrong"), BUILT_LONGER, ids=ids(BUILT_LONGER))
def test_a_built_table_refuses_more_steps(name, wrong):
    _, given, _ = RIGHT[name]
    refuses(BEYOND, built(name), inputs_of(given | wrong))


@pytest.mark.parametrize("cls", [BatchNormalization, Dice])
def test_statistics_of_another_rank_are_refused(cls):
    layer = cls()
    layer.build(X.shape)
    refuses(f"inputs: {RANK}3; received shape (4, 3)", layer, X[:, 0])


NEITHER = (
    "{name}: expected lengths among the inputs, or a mask of {of} (mask={how}, "
    "or from Embedding(mask_zero=True) or Masking{lost}); received neither"
)
LOST = "; operations such as x + 1 lose it"


@pytest.mark.parametrize(
    ("make", "given", "of", "how", "lost"),
    [
        (SequencePoolingLayer, X, "x", "...", LOST),
        (WeightedSequenceLayer, [X, WEIGHTS], "x", "...", LOST),
        (AttentionSequencePoolingLayer, [QUERY, X], "keys", "...", LOST),
        (DynamicGRU, X, "x", "...", LOST),
        (lambda: Transformer(1, 3), [X, X], "keys", "[..., ...]", ""),
    ],
    ids=["pooling", "weighted", "attention", "gru", "transformer"],
)
def test_neither_lengths_nor_a_mask_is_refused(make, given, of, how, lost):
    layer = make()
    message = NEITHER.format(name=layer.name, of=of, how=how, lost=lost)
    refuses(message, layer, given)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: DNN((4,)), (None, 5, None)),
        (Dice, (None, 5, None)),
        (BatchNormalization, (None, 5, None)),
        (LayerNormalization, (None, 5, None)),
        (PositionEncoding, (None, 5, None)),
        (lambda: BiasEncoding(1), (None, 5, None)),
        (LocalActivationUnit, [(None, 2, None), (None, 5, None)]),
        (AttentionSequencePoolingLayer, [(None, 2, None), (None, 5, None)]),
        (DynamicGRU, [(None, 5, None), (None,)]),
        (lambda: BiLSTM(2), (None, 5, None)),
        (Transformer, [(None, 5, None), (None, 5, None)]),
        (AuxiliaryLoss, [(None, 5, None)] * 3),
    ],
)
def test_an_unknown_dim_is_refused(make, shape):
    layer = make()
    with pytest.raises(
        ValueError, match=r"expected a known size on axis (-1|2)"
    ):
        layer.build(shape)
    assert layer.weights == []


@pytest.mark.parametrize("make", [PositionEncoding, lambda: BiasEncoding(1)])
def test_a_table_needs_to_know_its_length(make):
    with pytest.raises(
        ValueError,
        match=r"^max_steps: expected the table's length, since time is not "
        r"known; received None$",
    ):
        make()(keras.Input((None, 3)))


@pytest.mark.parametrize("example", EXAMPLES, ids=names(EXAMPLES))
def test_an_argument_that_is_none_of_the_layer_s_is_refused(example):
    with pytest.raises((TypeError, ValueError), match="bogus"):
        example.make(bogus=1)
    with pytest.raises(TypeError, match="bogus"):
        example.make()(example.inputs(), bogus=1)


def test_a_mask_is_refused_by_a_layer_that_takes_none():
    with pytest.raises(TypeError, match="mask"):
        BiasEncoding(2)([X, X], mask=MASK)


def test_inputs_may_be_named_and_be_a_tuple():
    layer = SequencePoolingLayer()
    expected = keras.ops.convert_to_numpy(layer([X, LENGTHS]))
    got = layer(inputs=(X, LENGTHS))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(got), expected)


def test_no_inputs_at_all_are_refused():
    with pytest.raises(TypeError, match="inputs"):
        SequencePoolingLayer()()


def test_a_functional_model_without_steps_is_refused_when_made():
    x = keras.layers.Embedding(5, 3, mask_zero=True)(keras.Input((5,)))
    SequencePoolingLayer()(x)
    with pytest.raises(ValueError, match="expected lengths among the inputs"):
        SequencePoolingLayer()(x + 1.0)


def test_a_refused_layer_can_still_be_used():
    layer = AttentionSequencePoolingLayer((4,))
    with pytest.raises(ValueError, match="query and keys"):
        layer([draw(4, 2, 6), X, LENGTHS])
    assert layer([QUERY, X, LENGTHS]).shape == (4, 2, 3)
