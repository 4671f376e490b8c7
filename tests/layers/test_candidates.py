"""Several candidates against one history, and the two forms of DIN's layer."""

import keras
import numpy as np
import pytest

from kseq.layers.core import LocalActivationUnit
from kseq.layers.sequence import AttentionSequencePoolingLayer
from kseq.ops import din_form, din_hidden
from tests.arrays import to_numpy
from tests.layers.checks import assert_close
from tests.layers.examples import (
    ARRAYS,
    BATCH,
    EXAMPLES,
    LENGTHS,
    draw,
    names,
)

WITH_QUERY = [example for example in EXAMPLES if "query" in example.features]
MANY = draw(BATCH, 4, 3)


@pytest.mark.parametrize("example", WITH_QUERY, ids=names(WITH_QUERY))
def test_candidates_at_once_are_each_alone(example):
    layer = example.built()
    together = example.call(layer, ARRAYS | {"query": MANY})
    # LocalActivationUnit has DeepCTR's order, (batch, steps, candidates).
    axis = 2 if isinstance(layer, LocalActivationUnit) else 1
    alone = [
        example.call(layer, ARRAYS | {"query": MANY[:, k : k + 1]})
        for k in range(4)
    ]
    assert together.shape[axis] == 4
    assert_close(together, np.concatenate(alone, axis=axis))
    assert not np.allclose(alone[0], alone[1])


@pytest.mark.parametrize(
    ("steps", "dim", "form"),
    [(5, 3, "fold"), (3, 5, "split"), (4, 4, "fold"), (None, 9, "fold")],
)
def test_the_form_follows_what_is_known_of_the_shape(steps, dim, form):
    assert din_form((None, steps, dim)) == form


@pytest.mark.parametrize(("steps", "dim"), [(5, 3), (2, 6)])
@pytest.mark.parametrize("candidates", [1, 3])
@pytest.mark.parametrize("form", ["fold", "split"])
def test_both_forms_are_the_concatenation(form, candidates, steps, dim):
    query, keys = draw(2, candidates, dim), draw(2, steps, dim)
    kernel, bias = draw(4 * dim, 7), draw(7)
    q, k = np.broadcast_arrays(
        query[:, :, None].astype("float64"), keys[:, None].astype("float64")
    )
    expected = np.concatenate([q, k, q - k, q * k], axis=-1) @ kernel + bias
    got = to_numpy(din_hidden(query, keys, kernel, bias, form))
    assert_close(got, expected)


@pytest.mark.parametrize("hidden", [(4, 2), ()])
def test_few_steps_known_or_not_give_the_same(hidden):
    """Fewer steps than `dim`: "split" where they are known, else "fold"."""
    steps, dim = 2, 6
    query, keys = draw(BATCH, 2, dim), draw(BATCH, steps, dim)
    layer = AttentionSequencePoolingLayer(hidden, "dice")
    known = layer([query, keys, LENGTHS])
    unknown = AttentionSequencePoolingLayer(hidden, "dice")
    unknown.build([(None, None, dim), (None, None, dim), (None,)])
    unknown.set_weights(layer.get_weights())
    got = to_numpy(unknown([query, keys, LENGTHS]))
    assert_close(got, to_numpy(known))


@pytest.mark.parametrize("candidates", [2, None])
def test_a_model_may_not_know_the_number_of_candidates(candidates):
    layer = AttentionSequencePoolingLayer((4, 2), "dice")
    symbols = [
        keras.Input((candidates, 3)),
        keras.Input((None, 3)),
        keras.Input((), dtype="int32"),
    ]
    model = keras.Model(symbols, layer(symbols))
    assert model.output.shape == (None, candidates, 3)
    inputs = [ARRAYS["query"], ARRAYS["x"], LENGTHS]
    assert_close(to_numpy(model(inputs)), to_numpy(layer(inputs)))


def test_output_and_scores_are_those_of_one_alone():
    inputs = [MANY, ARRAYS["x"], LENGTHS]
    pooling = AttentionSequencePoolingLayer((4,), weight_normalization=True)
    scoring = AttentionSequencePoolingLayer(
        (4,), weight_normalization=True, return_score=True
    )
    scoring.build([x.shape for x in inputs])
    pooled, scores = pooling(inputs, return_attention_scores=True)
    scoring.set_weights(pooling.get_weights())
    np.testing.assert_array_equal(to_numpy(pooled), to_numpy(pooling(inputs)))
    np.testing.assert_array_equal(to_numpy(scores), to_numpy(scoring(inputs)))
    total = np.broadcast_to(LENGTHS[:, None] > 0, (BATCH, 4))
    np.testing.assert_allclose(to_numpy(scores).sum(axis=-1), total, rtol=1e-6)


def test_how_many_candidates_need_not_be_known():
    query, keys = keras.Input((None, 4)), keras.Input((5, 4))
    lengths = keras.Input((1,), dtype="int32")
    inputs = [query, keys, lengths]
    # Dice asks for the mask of each candidate.
    layer = AttentionSequencePoolingLayer((3,), "dice")
    model = keras.Model(inputs, layer(inputs))
    for candidates in (1, 3):
        arrays = [
            draw(2, candidates, 4),
            draw(2, 5, 4),
            np.array([[5], [2]], "int32"),
        ]
        assert model.predict(arrays, verbose=0).shape == (2, candidates, 4)
