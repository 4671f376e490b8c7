"""Every argument of every constructor: kept, checked, and named."""

import inspect
import re

import numpy as np
import pytest

from kseq.layers import core, sequence
from tests.arrays import to_numpy
from tests.layers.examples import draw

# None of them a default.
GIVEN = {
    "AuxiliaryLoss": {
        "alpha": 0.5,
        "hidden_units": (3, 2),
        "activation": "relu",
        "seed": 5,
    },
    "BatchNormalization": {
        "axis": 1,
        "momentum": 0.5,
        "epsilon": 0.25,
        "center": False,
        "scale": False,
    },
    "DNN": {
        "hidden_units": (3, 2),
        "activation": "tanh",
        "l2_reg": 0.5,
        "dropout_rate": 0.25,
        "use_bn": True,
        "output_activation": "sigmoid",
        "seed": 5,
    },
    "Dice": {"axis": 1, "epsilon": 0.25},
    "LayerNormalization": {"epsilon": 0.25},
    "LocalActivationUnit": {
        "hidden_units": (3, 2),
        "activation": "relu",
        "l2_reg": 0.5,
        "dropout_rate": 0.25,
        "use_bn": True,
        "seed": 5,
    },
    "PredictionLayer": {"task": "regression", "use_bias": False},
    "AttentionSequencePoolingLayer": {
        "att_hidden_units": (3, 2),
        "att_activation": "relu",
        "weight_normalization": True,
        "return_score": True,
        "supports_masking": True,
    },
    "BiLSTM": {
        "units": 3,
        "layers": 3,
        "res_layers": 1,
        "dropout_rate": 0.5,
        "merge_mode": "sum",
        "seed": 5,
    },
    "BiasEncoding": {"sess_max_count": 3, "seed": 5, "max_steps": 7},
    "DynamicGRU": {
        "num_units": 3,
        "gru_type": "AUGRU",
        "return_sequence": False,
        "return_state": True,
        "augru_form": "paper",
    },
    "KMaxPooling": {"k": 3, "axis": 2},
    "PositionEncoding": {
        "pos_embedding_trainable": False,
        "zero_pad": True,
        "scale": False,
        "max_steps": 7,
    },
    "SequencePoolingLayer": {"mode": "max", "supports_masking": True},
    "Transformer": {
        "att_embedding_size": 3,
        "head_num": 5,
        "dropout_rate": 0.5,
        "use_positional_encoding": False,
        "use_res": False,
        "use_feed_forward": False,
        "use_layer_norm": True,
        "blinding": False,
        "seed": 5,
        "supports_masking": True,
        "attention_type": "cos",
        "output_type": "sum",
        "max_steps": 7,
    },
    "WeightedSequenceLayer": {
        "weight_normalization": False,
        "supports_masking": True,
    },
}


def class_of(name):
    return getattr(sequence, name, None) or getattr(core, name)


def arguments(name):
    signature = inspect.signature(class_of(name))
    return {
        n: p
        for n, p in signature.parameters.items()
        if p.kind is not p.VAR_KEYWORD
    }


EACH = [(name, argument) for name in GIVEN for argument in GIVEN[name]]


def test_no_layer_and_no_argument_is_forgotten():
    classes = {
        name
        for room in (core, sequence)
        for name, value in vars(room).items()
        if inspect.isclass(value)
    }
    assert GIVEN.keys() == classes
    for name, given in GIVEN.items():
        assert given.keys() == arguments(name).keys(), name
        for argument, parameter in arguments(name).items():
            assert given[argument] != parameter.default, (name, argument)


@pytest.mark.parametrize("name", GIVEN)
def test_an_argument_is_kept(name):
    layer = class_of(name)(**GIVEN[name])
    config = layer.get_config()
    again = type(layer).from_config(config)
    for argument, value in GIVEN[name].items():
        for kept in (getattr(layer, argument), config[argument]):
            told = tuple(kept) if isinstance(kept, (list, tuple)) else kept
            if "activation" in argument:
                told = getattr(kept, "__name__", kept)
            assert told == value, argument
        assert getattr(again, argument) == getattr(layer, argument)


@pytest.mark.parametrize(("name", "argument"), EACH)
def test_a_wrong_argument_is_named(name, argument):
    needed = {
        n: GIVEN[name][n]
        for n, p in arguments(name).items()
        if p.default is p.empty
    }

    def build():
        layer = class_of(name)(**needed | {argument: object()})
        if argument == "axis":  # may wait for the rank
            layer.build((2, 5, 3))

    with pytest.raises(ValueError, match=f"^{argument}: expected "):
        build()


# Shapes of which one has no known width, and whose it is.
UNKNOWN = [
    ("AuxiliaryLoss", [(2, 5, None), (2, 5, 3), (2, 5, 3)], "states"),
    ("AuxiliaryLoss", [(2, 5, 3), (2, 5, None), (2, 5, None)], "clicks"),
    ("BiLSTM", [(2, 5, None), (2,)], "x"),
    ("BiasEncoding", [(2, 5, None)] * 3, "sessions"),
    ("DynamicGRU", [(2, 5, None), (2,)], "x"),
    ("PositionEncoding", (2, 5, None), "inputs"),
    ("Transformer", [(2, 5, None), (2, 5, 15), (2,), (2,)], "queries"),
]


@pytest.mark.parametrize(("name", "shapes", "whose"), UNKNOWN)
def test_who_has_no_known_width_is_named(name, shapes, whose):
    options = {**GIVEN[name], "supports_masking": False}
    layer = class_of(name)(**{n: options[n] for n in arguments(name)})
    message = rf"^{whose}: expected a known size on axis (-1|2); received "
    with pytest.raises(ValueError, match=message):
        layer.build(shapes)
    assert layer.weights == []


@pytest.mark.parametrize(
    "mode", ["fw", "bw", "concat", "sum", "ave", "mul", None]
)
def test_the_shape_of_a_bilstm_is_true(mode):
    layer = sequence.BiLSTM(4, merge_mode=mode)
    inputs = [draw(2, 3, 4), np.array([3, 1])]
    claimed = layer.compute_output_shape([(2, 3, 4), (2,)])
    found = layer(inputs)
    if mode is None:
        assert [tuple(x.shape) for x in found] == [*claimed]
    else:
        assert tuple(found.shape) == claimed


def test_biases_of_sessions_are_small_and_drawn_apart():
    layer = sequence.BiasEncoding(40, seed=3)
    layer.build([(None, 50, 60)] * 40)
    assert [w.name for w in layer.weights] == [
        *("sess_bias_embedding", "seq_bias_embedding", "item_bias_embedding"),
    ]
    drawn = [to_numpy(w.value).ravel() for w in layer.weights]
    for numbers in drawn:
        assert 3e-5 < numbers.std() < 2e-4
        assert np.abs(numbers).max() < 3e-4
    assert not np.allclose(drawn[0], drawn[1][:40])
    assert not np.allclose(drawn[1], drawn[2][:50])


X, STATE = draw(4, 5, 3), draw(4, 3)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            STATE[:, 0],
            "initial_state: expected a tensor of rank 2; received shape (4,)",
        ),
        (
            STATE[:2],
            "x and initial_state: expected equal sizes on axis 0; received "
            "{'x': (4, 5, 3), 'initial_state': (2, 3)}",
        ),
        (
            STATE[:, :2],
            "units and initial_state: expected equal sizes on axis -1; "
            "received {'units': (3,), 'initial_state': (4, 2)}",
        ),
    ],
)
def test_a_state_that_does_not_fit_is_refused(state, message):
    layer = sequence.DynamicGRU()
    with pytest.raises(ValueError, match=re.escape(message)):
        layer([X, np.array([5, 3, 1, 0])], initial_state=state)
