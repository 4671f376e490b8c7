"""Chunks of queries, dropout and large scores."""

import contextlib
from types import SimpleNamespace

import numpy as np
import pytest
from keras import ops

from kseq.ops import multi_head, multi_head_attention, plain_forms
from kseq.ops.backends.plain import not_available
from kseq.ops.multi_head import ATTENTION_TYPES
from tests.ops.compute import assert_close, compute, gradients
from tests.ops.examples import BY_NAME
from tests.reference.transformer import attend

pytestmark = pytest.mark.once

each_type = pytest.mark.parametrize("kind", ATTENTION_TYPES)


def example_of(kind, **options):
    example = BY_NAME[f"multi_head_attention-{kind}"]

    def function(arrays):
        return multi_head_attention(**arrays, attention_type=kind, **options)

    return function, example.arrays("float32")


@pytest.mark.parametrize(("size", "chunks"), [(1, 3), (2, 2)])
def test_chunks_are_computed_again_for_the_gradient(monkeypatch, size, chunks):
    """This saves memory; no result depends on it."""
    calls = []
    loop = multi_head.loop

    def counted(step, sequences, *arguments, recompute=False):
        calls.append((recompute, [x.shape[1] for x in sequences]))
        return loop(step, sequences, *arguments, recompute=recompute)

    monkeypatch.setattr(multi_head, "loop", counted)
    monkeypatch.setattr(multi_head, "fused_attention", not_available)
    monkeypatch.setattr(multi_head, "_chunk_size", lambda *sizes: size)
    function, arrays = example_of("cos")
    got = compute(function, "float32", arrays)
    assert_close(got, attend("cos")(**arrays), "float32")
    assert calls == [(True, [chunks, chunks])]


@pytest.mark.parametrize(
    ("sizes", "max_scores", "more", "expected"),
    [
        # Three queries of two heads and 4 numbers each, five keys.
        ((3, 5), 15, {}, None),
        ((3, 5), 14, {}, 1),
        ((3, 5), 1, {}, 1),
        ((30, 5), 139, {}, 13),
        ((3, 5), 60, {"additive": True}, None),
        ((30, 5), 120, {"additive": True}, 3),
        ((3, None), 1, {}, None),
        ((None, 5), 50, {"max_steps": 10}, None),
        ((None, 5), 49, {"max_steps": 10}, 4),
        ((3, None), 29, {"max_steps": 10}, 1),
    ],
)
def test_the_size_of_a_chunk(sizes, max_scores, more, expected):
    shapes = (SimpleNamespace(shape=(None, 2, n, 4)) for n in sizes)
    options = {"additive": False, "max_steps": None} | more
    got = multi_head._chunk_size(*shapes, max_scores=max_scores, **options)
    assert got == expected


@each_type
@pytest.mark.parametrize("max_scores", [1, 1 << 20])
def test_dropout_of_the_weights(kind, max_scores):
    drop = np.array([2.0, 0.0, 2.0, 0.0, 2.0, 0.0], "float32")
    shapes = []

    def dropout(weights):
        shapes.append(tuple(weights.shape))
        return weights * ops.convert_to_tensor(drop)

    function, arrays = example_of(kind, dropout=dropout, max_scores=max_scores)
    got = compute(function, "float32", arrays)
    # The weights times drop are the values times drop.
    values = arrays["values"] * drop[:, None]
    expected = attend(kind)(**arrays | {"values": values})
    assert_close(got, expected, "float32")
    # Never in chunks, which are computed again for the gradient.
    assert shapes == [(4, 2, 3, 6)]


def test_scores_that_would_overflow():
    for size in (1e15, 1e19):  # the scores of 1e38 in float32, and beyond
        function, arrays = example_of("scaled_dot_product")
        for name in ("query", "keys"):
            arrays[name] = arrays[name] * size
        got = compute(function, "float32", arrays)
        # The softmax has all weight on the largest score.
        expected = attend("scaled_dot_product")(**arrays)
        assert_close(got, expected, "float32")
        for found in gradients(function, arrays):
            assert np.all(np.isfinite(found))


@pytest.mark.parametrize("max_scores", [1 << 20, 4])
def test_a_bias_of_minus_infinity_hides_a_key(max_scores):
    _, arrays = example_of("scaled_dot_product")
    hidden = np.ones((4, 1, 3, 6), bool)
    hidden[:, :, 1] = False  # of the others no key is seen
    bias = np.where(hidden, -np.inf, 0.0).astype("float32")

    def attended(given, **which):
        def function(x):
            return multi_head_attention(**x, max_scores=max_scores, **which)

        return compute(function, "float32", given), gradients(function, given)

    found, slopes = attended(arrays, attention_bias=bias)
    expected, wanted = attended(arrays, attention_mask=~hidden[:, 0])
    assert np.all(found[:, :, [0, 2]] == 0)
    for got, want in zip([found, *slopes], [expected, *wanted], strict=True):
        assert_close(got, want, "float32")


@pytest.mark.parametrize(("name", "found"), [("keys", [0, 2]), ("query", [2])])
def test_nan_of_a_valid_step_is_kept(name, found):
    function, arrays = example_of("cos")
    arrays[name][1, 0, 2 if name == "query" else 1] = np.nan
    assert arrays["query_valid"][1].tolist() == [True, False, True]
    expected = np.zeros((4, 2, 3, 3), bool)
    expected[1, 0, found] = True
    for form in (contextlib.nullcontext, plain_forms):
        with form():
            got = compute(function, "float32", arrays)
        np.testing.assert_array_equal(np.isnan(got), expected)
