"""Padding, empty histories and lengths: what every layer promises."""

import numpy as np
import pytest

from kseq.layers.sequence import SequencePoolingLayer
from tests.layers.checks import assert_close
from tests.layers.examples import (
    ARRAYS,
    EXAMPLES,
    LENGTHS,
    PREFIX,
    WITH_LENGTHS,
    fill,
    float32,
    names,
    with_steps,
)

each = pytest.mark.parametrize("example", EXAMPLES, ids=names(EXAMPLES))
each_with_lengths = pytest.mark.parametrize(
    "example", WITH_LENGTHS, ids=names(WITH_LENGTHS)
)


@each
@pytest.mark.parametrize("filling", [np.nan, np.inf, -np.inf, 1e30])
def test_padding_is_inert(example, filling):
    layer = example.built()
    expected = example.call(layer)
    got = example.call(layer, fill(ARRAYS, filling))
    np.testing.assert_array_equal(example.shown(got), example.shown(expected))


@each
def test_more_padding_changes_nothing(example):
    layer = example.built()
    expected = example.shown(example.call(layer))
    longer = with_steps(8, filling=7.0)
    got = example.shown(
        example.call(layer, longer), np.pad(PREFIX, ((0, 0), (0, 3)))
    )
    if example.steps_at is not None:
        got = np.take(got, range(5), axis=example.steps_at)
    assert_close(got, expected)


@each
def test_an_empty_history_gives_zeros(example):
    out = example.call(example.built())
    assert np.all(np.isfinite(out))
    assert np.any(out[0] != 0)
    assert np.all(out[3] == 0) == example.empty_is_zero


@each_with_lengths
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "float32"])
@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_lengths_of_any_dtype_and_shape(example, dtype, shape):
    layer = example.built()
    expected = example.call(layer)
    given = LENGTHS.astype(dtype).reshape(shape)
    got = example.call(layer, lengths=given)
    np.testing.assert_array_equal(got, expected)


@each_with_lengths
def test_lengths_beyond_the_steps_are_clipped(example):
    layer = example.built()
    expected = example.call(layer)
    got = example.call(layer, lengths=np.array([99, 3, 1, -7], "int32"))
    np.testing.assert_array_equal(got, expected)


def test_float_lengths_keep_their_digits_in_half_precision():
    x = np.ones((1, 2049, 1), "float32")
    layer = SequencePoolingLayer("max", dtype="mixed_float16")
    x[0, 2048] = 2.0
    out = float32(layer([x, np.array([[2049.0]], "float32")]))
    assert out[0, 0, 0] == 2.0
