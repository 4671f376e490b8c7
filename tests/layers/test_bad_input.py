"""Wrong arguments and inputs are refused at once, and said what is wrong."""

import re

import keras
import numpy as np
import pytest

from kseq.layers.core import (
    DNN,
    BatchNormalization,
    Dice,
    LocalActivationUnit,
)
from kseq.layers.sequence import (
    AttentionSequencePoolingLayer,
    DynamicGRU,
    KMaxPooling,
    SequencePoolingLayer,
    WeightedSequenceLayer,
)
from tests.layers.examples import ARRAYS, EXAMPLES, LENGTHS, MASK, draw, names

X, QUERY, WEIGHTS = ARRAYS["x"], ARRAYS["query"], ARRAYS["weights"]
Pooling = SequencePoolingLayer
Weighted = WeightedSequenceLayer
Attention = AttentionSequencePoolingLayer
Unit = LocalActivationUnit

INTS = "expected a sequence of positive integers; received "
BOOL = "expected True or False; received "
RATE = "expected a number in [0, 1); received "
AT_LEAST_0 = "expected a finite number of at least 0; received "
ABOVE_0 = "expected a finite number above 0; received "
ACTIVATION = (
    "expected the name of a Keras activation, 'dice', a function, or a keras "
    "layer or its class; received "
)
AXIS = "axis: expected 1 to 2, or -2 to -1; received "

# The class, the argument, a wrong value, and the error that names it.
CONSTRUCTORS = [
    (
        Pooling,
        {"mode": "avg"},
        "mode: expected one of 'sum', 'mean', 'max'; received 'avg'",
    ),
    (Pooling, {"mode": None}, "mode: expected one of"),
    (Pooling, {"mode": ["sum"]}, "mode: expected one of"),
    (Pooling, {"supports_masking": 1}, "supports_masking: " + BOOL + "1"),
    (
        Weighted,
        {"weight_normalization": "yes"},
        "weight_normalization: " + BOOL + "'yes'",
    ),
    (Weighted, {"supports_masking": None}, "supports_masking: " + BOOL),
    (KMaxPooling, {"k": 0}, "k: expected a positive integer; received 0"),
    (KMaxPooling, {"k": 1.0}, "k: expected a positive integer; received 1.0"),
    (KMaxPooling, {"k": True}, "k: expected a positive integer"),
    (KMaxPooling, {"k": "2"}, "k: expected a positive integer; received '2'"),
    (KMaxPooling, {"axis": 1.5}, "axis: expected an integer; received 1.5"),
    (KMaxPooling, {"axis": None}, "axis: expected an integer; received None"),
    (Attention, {"att_hidden_units": 4}, "att_hidden_units: " + INTS + "4"),
    (Attention, {"att_hidden_units": (4, 0)}, "att_hidden_units: " + INTS),
    (
        Attention,
        {"att_hidden_units": "80"},
        "att_hidden_units: " + INTS + "'80'",
    ),
    (Attention, {"att_activation": "nope"}, "att_activation: " + ACTIVATION),
    (Attention, {"att_activation": 3}, "att_activation: " + ACTIVATION + "3"),
    (Attention, {"att_activation": dict}, "att_activation: " + ACTIVATION),
    (Attention, {"weight_normalization": 0}, "weight_normalization: " + BOOL),
    (Attention, {"return_score": 1}, "return_score: " + BOOL + "1"),
    (Attention, {"supports_masking": "no"}, "supports_masking: " + BOOL),
    (Unit, {"hidden_units": (1.5,)}, "hidden_units: " + INTS),
    (Unit, {"activation": "nope"}, "activation: " + ACTIVATION + "'nope'"),
    (Unit, {"l2_reg": -1}, "l2_reg: " + AT_LEAST_0 + "-1"),
    (Unit, {"dropout_rate": 1.0}, "dropout_rate: " + RATE + "1.0"),
    (Unit, {"use_bn": 1}, "use_bn: " + BOOL + "1"),
    (Unit, {"seed": 1.5}, "seed: expected an integer; received 1.5"),
    (DNN, {"hidden_units": None}, "hidden_units: " + INTS + "None"),
    (
        DNN,
        {"hidden_units": (4,), "output_activation": "nope"},
        "output_activation: " + ACTIVATION + "'nope'",
    ),
    (
        DNN,
        {"hidden_units": (4,), "l2_reg": float("nan")},
        "l2_reg: " + AT_LEAST_0 + "nan",
    ),
    (
        DNN,
        {"hidden_units": (4,), "dropout_rate": "half"},
        "dropout_rate: " + RATE + "'half'",
    ),
    (Dice, {"epsilon": -1e-9}, "epsilon: " + ABOVE_0 + "-1e-09"),
    (Dice, {"epsilon": 0}, "epsilon: " + ABOVE_0 + "0"),
    (BatchNormalization, {"momentum": 1}, "momentum: " + RATE + "1"),
    (BatchNormalization, {"epsilon": None}, "epsilon: " + ABOVE_0),
    (BatchNormalization, {"center": 0}, "center: " + BOOL + "0"),
    (BatchNormalization, {"scale": "no"}, "scale: " + BOOL + "'no'"),
]


@pytest.mark.parametrize(
    ("cls", "arguments", "message"),
    CONSTRUCTORS,
    ids=[f"{c.__name__}-{a}" for c, a, _ in CONSTRUCTORS],
)
def test_a_constructor_refuses(cls, arguments, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        cls(**arguments)


NO_STEPS = "expected lengths among the inputs, or a mask of "
WRONG_BATCH = "lengths: expected one for each of the 4 "
SAME = "expected equal sizes on axis "


def attention(**options):
    return Attention((4,), **options)


# What makes the layer, its inputs, its mask, and the error. Three features or
# two: what a list holds is known by how many there are.
CALLS = {
    "neither lengths nor mask": (Pooling, X, None, NO_STEPS + "x"),
    "neither, weighted": (Weighted, [X, WEIGHTS], None, NO_STEPS + "x"),
    "neither, attention": (attention, [QUERY, X], None, NO_STEPS + "keys"),
    "too many": (
        Pooling,
        [X, LENGTHS, X],
        None,
        "inputs: expected [x, lengths], or [x] with a mask",
    ),
    "none": (Pooling, [], None, "inputs: expected [x, lengths]"),
    "too few, weighted": (
        Weighted,
        X,
        MASK,
        "inputs: expected [x, lengths, weights], or [x, weights] with a mask",
    ),
    "too many, weighted": (
        Weighted,
        [X, LENGTHS, WEIGHTS, X],
        None,
        "inputs: expected [x, lengths, weights]",
    ),
    "too few, attention": (
        attention,
        [QUERY],
        None,
        "inputs: expected [query, keys, lengths], or [query, keys] with a mask",
    ),
    "too few, k-max": (KMaxPooling, [], None, "inputs: expected [x, lengths]"),
    "one, unit": (Unit, X, None, "inputs: expected [query, keys]"),
    "three, unit": (Unit, [QUERY, X, X], None, "inputs: expected [query, keys"),
    "rank of x": (
        Pooling,
        [X[0], LENGTHS],
        None,
        "x: expected a tensor of rank 3; received shape (5, 3)",
    ),
    "rank of x, weighted": (
        Weighted,
        [X[..., None], LENGTHS, WEIGHTS],
        None,
        "x: expected a tensor of rank 3",
    ),
    "rank of weights": (
        Weighted,
        [X, LENGTHS, WEIGHTS[0]],
        None,
        "weights: expected a tensor of rank 2 or 3",
    ),
    "rank of query": (
        attention,
        [QUERY[:, 0], X, LENGTHS],
        None,
        "query: expected a tensor of rank 3; received shape (4, 3)",
    ),
    "rank of keys": (
        attention,
        [QUERY, X[:, 0], LENGTHS],
        None,
        "keys: expected a tensor of rank 3; received shape (4, 3)",
    ),
    "rank of lengths": (
        Pooling,
        [X, LENGTHS[:, None, None]],
        None,
        "lengths: expected a tensor of rank 1 or 2",
    ),
    "width of lengths": (
        Pooling,
        [X, np.stack([LENGTHS, LENGTHS], 1)],
        None,
        "lengths: expected shape (batch, 1) or (batch,); received (4, 2)",
    ),
    "batch of lengths": (
        Pooling,
        [X, LENGTHS[:2]],
        None,
        WRONG_BATCH + "x; received shape (2,)",
    ),
    "batch of lengths, attention": (
        attention,
        [QUERY, X, LENGTHS[:2]],
        None,
        WRONG_BATCH + "keys",
    ),
    "batch of weights": (
        Weighted,
        [X, LENGTHS, WEIGHTS[:2]],
        None,
        "x and weights: " + SAME + "0",
    ),
    "steps of weights": (
        Weighted,
        [X, LENGTHS, WEIGHTS[:, :2]],
        None,
        "x and weights: " + SAME + "1",
    ),
    "width of weights": (
        Weighted,
        [X, LENGTHS, X],
        None,
        "weights: expected shape (batch, steps) or (batch, steps, 1)",
    ),
    "batch of query": (
        attention,
        [QUERY[:2], X, LENGTHS],
        None,
        "query and keys: " + SAME + "0",
    ),
    "dim of query": (
        attention,
        [draw(4, 2, 6), X, LENGTHS],
        None,
        "query and keys: " + SAME + "-1",
    ),
    "dim of query, unit": (
        Unit,
        [draw(4, 2, 6), X],
        None,
        "query and keys: " + SAME + "-1",
    ),
    "masks too few": (
        attention,
        [QUERY, X],
        [MASK],
        "mask: expected one for each input of ('query', 'keys')",
    ),
    "scores that are lengths": (
        lambda: DynamicGRU(3, "AUGRU"),
        [X, LENGTHS],
        None,
        "scores: expected a tensor of rank 2 or 3, the last of",
    ),
    "mask's rank": (
        Pooling,
        X,
        MASK[..., None],
        "mask: expected a tensor of rank 2",
    ),
    "mask's batch": (Pooling, X, MASK[:2], "mask and sequence: " + SAME + "0"),
    "mask's steps": (
        Weighted,
        [X, WEIGHTS],
        MASK[:, :2],
        "mask and sequence: " + SAME + "1",
    ),
    "mask's steps, attention": (
        attention,
        [QUERY, X],
        MASK[:, :2],
        "mask and sequence: " + SAME + "1",
    ),
    "mask's steps, k-max": (
        KMaxPooling,
        X,
        MASK[:, :2],
        "mask and sequence: " + SAME + "1",
    ),
    "k over the steps": (
        lambda: KMaxPooling(9),
        X,
        None,
        "k: expected at most the size 5 of axis 1; received 9",
    ),
    "k over another axis": (
        lambda: KMaxPooling(4, axis=-1),
        X,
        None,
        "k: expected at most the size 3 of axis 2; received 4",
    ),
    "axis beyond": (lambda: KMaxPooling(1, 3), X, None, AXIS + "3"),
    "axis of the batch": (lambda: KMaxPooling(1, 0), X, None, AXIS + "0"),
    "axis of the batch, from the end": (
        lambda: KMaxPooling(1, -3),
        X,
        None,
        AXIS + "-3",
    ),
    "axis, dice": (lambda: Dice(3), X, None, AXIS + "3"),
    "axis, batch normalization": (
        lambda: BatchNormalization(0),
        X,
        None,
        AXIS + "0",
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_refuses(name):
    make, inputs, mask, message = CALLS[name]
    layer = make()
    options = {} if mask is None else {"mask": mask}
    with pytest.raises(ValueError, match=re.escape(message)):
        layer(inputs, **options)
    assert layer.built or layer.weights == []  # not built by half


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: DNN((4,)), (None, 5, None)),
        (Dice, (None, 5, None)),
        (BatchNormalization, (None, 5, None)),
        (Unit, [(None, 2, None), (None, 5, None)]),
        (attention, [(None, 2, None), (None, 5, None)]),
    ],
)
def test_an_unknown_dim_is_refused(make, shape):
    layer = make()
    with pytest.raises(
        ValueError, match=r"expected a known size on axis (-1|2)"
    ):
        layer.build(shape)
    assert layer.weights == []


@pytest.mark.parametrize("example", EXAMPLES, ids=names(EXAMPLES))
def test_an_argument_that_is_none_of_the_layer_s_is_refused(example):
    with pytest.raises((TypeError, ValueError), match="bogus"):
        example.make(bogus=1)


def test_a_functional_model_without_steps_is_refused_when_made():
    x = keras.layers.Embedding(5, 3, mask_zero=True)(keras.Input((5,)))
    Pooling()(x)
    with pytest.raises(ValueError, match=re.escape(NO_STEPS)):
        Pooling()(x + 1.0)


def test_a_refused_layer_can_still_be_used():
    layer = attention()
    with pytest.raises(ValueError, match="query and keys"):
        layer([draw(4, 2, 6), X, LENGTHS])
    assert layer([QUERY, X, LENGTHS]).shape == (4, 2, 3)
