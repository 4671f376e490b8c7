"""A layer that is built is called with something else; one that is not is
saved."""

import json

import keras
import numpy as np
import pytest

from kseq.layers.core import LayerNormalization
from kseq.layers.sequence import (
    BiasEncoding,
    DynamicGRU,
    PositionEncoding,
    Transformer,
)
from tests.arrays import to_numpy
from tests.layers.examples import EXAMPLES, draw, names

X = draw(2, 5, 4)
LENGTHS = np.array([5, 2], "int32")
SCORES = draw(2, 5, 1)
PLAIN = {"use_positional_encoding": False}


def built(layer, *first):
    layer(first[0] if len(first) == 1 else list(first))
    return layer


def transformer(**options):
    return built(Transformer(2, 2, **options), X, X, LENGTHS, LENGTHS)


def symbol(*shape):
    return keras.Input(shape)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: built(DynamicGRU(3, "AUGRU"), X, LENGTHS, SCORES)(
                [X, LENGTHS, draw(5, 2)]
            ),
            "x and scores: expected equal sizes on axis 0",
        ),
        (
            lambda: built(DynamicGRU(3, "AUGRU"), X, LENGTHS, SCORES)(
                [X, LENGTHS, SCORES[:, :4]]
            ),
            r"scores: expected shape \(batch, steps, 1\)",
        ),
        (
            lambda: built(DynamicGRU(3), X, LENGTHS)(
                [symbol(5, 4), symbol(1)], initial_state=symbol(7)
            ),
            "units and initial_state: expected equal sizes on axis -1",
        ),
        (
            lambda: built(DynamicGRU(3), X, LENGTHS)(
                [symbol(5, 4), symbol(1)], None, symbol(7)
            ),
            "units and initial_state: expected equal sizes on axis -1",
        ),
        (
            lambda: built(DynamicGRU(3), X, LENGTHS)(symbol(5, 4), symbol(5)),
            "mask: expected bools, or integers 0 and 1; received dtype float32",
        ),
        (
            lambda: transformer(**PLAIN)([X, X[:1], LENGTHS, LENGTHS[:1]]),
            "queries and keys: expected equal sizes on axis 0",
        ),
        (
            lambda: transformer()(
                [symbol(9, 4), symbol(9, 4)], mask=[symbol(9), symbol(9)]
            ),
            "inputs: expected at most 5 steps",
        ),
        (
            lambda: built(PositionEncoding(), X)(symbol(9, 4)),
            "inputs: expected at most 5 steps",
        ),
        (
            lambda: built(BiasEncoding(1), X)(symbol(9, 4)),
            "inputs: expected at most 5 steps",
        ),
    ],
)
def test_a_built_layer_refuses_what_does_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("example", EXAMPLES, ids=names(EXAMPLES))
def test_a_layer_is_saved_before_it_is_built(example):
    layer = example.make()
    stored = keras.saving.serialize_keras_object(layer)
    again = keras.saving.deserialize_keras_object(stored)
    assert again.get_config() == layer.get_config()


def test_numpy_s_integers_are_stored_too():
    layer = Transformer(
        np.int64(2), np.int32(2), seed=np.int64(3), max_steps=np.int64(9)
    )
    json.dumps(layer.get_config())


@pytest.mark.parametrize(
    "layer",
    [
        LayerNormalization(),
        PositionEncoding(),
        PositionEncoding(False, max_steps=2),
        BiasEncoding(1),
    ],
    ids=["normalization", "positions", "fixed", "bias"],
)
def test_integers_are_taken_as_floats(layer):
    ints = np.arange(20, dtype="int32").reshape(1, 5, 4) % 7
    expected = keras.tree.flatten(layer(ints.astype("float32")))[0]
    got = keras.tree.flatten(layer(ints))[0]
    assert keras.backend.standardize_dtype(got.dtype) == "float32"
    np.testing.assert_array_equal(to_numpy(got), to_numpy(expected))
