import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kseq.ops import (
    attention_pool,
    attention_weights,
    din_form,
    din_hidden,
    linear,
    zero_padding,
)
from tests.arrays import to_numpy
from tests.cases import MASK
from tests.ops.compute import (
    X,
    assert_close,
    compute,
    draw,
    each_dtype,
    few_examples,
    gradient,
    needs_gradients,
)
from tests.reference import attention as reference
from tests.reference.masks import select

FILLINGS = [np.nan, np.inf, -np.inf, 1e4]
FORMS = ("fold", "split")

each_form = pytest.mark.parametrize("form", FORMS)
each_filling = pytest.mark.parametrize("filling", FILLINGS)
either_way = pytest.mark.parametrize("normalize", [True, False])


def literal(query, keys, kernel, bias):
    """[q, k, q - k, q * k] W + b with the concatenation made."""
    shape = (*query.shape[:2], *keys.shape[1:])
    q = np.broadcast_to(query[:, :, None], shape)
    k = np.broadcast_to(keys[:, None], shape)
    return np.concatenate([q, k, q - k, q * k], axis=-1) @ kernel + bias


def arrays(batch=2, candidates=3, steps=5, dim=4, units=6):
    return (
        draw("query", batch, candidates, dim),
        draw("keys", batch, steps, dim),
        draw("kernel", 4 * dim, units),
        draw("bias", units),
    )


@each_dtype
@each_form
def test_both_forms_are_the_concatenation(dtype, form):
    given = arrays()
    got = compute(din_hidden, dtype, *given, form)
    assert_close(got, literal(*given), dtype)


@each_form
@pytest.mark.parametrize(
    "sizes",
    [
        {"batch": 1, "candidates": 1, "steps": 1, "dim": 1, "units": 1},
        {"steps": 2, "dim": 7},
        {"candidates": 1},
        {"dim": 1},
    ],
    ids=str,
)
def test_forms_at_the_edges_of_sizes(form, sizes):
    given = arrays(**sizes)
    got = compute(din_hidden, "float32", *given, form)
    assert_close(got, literal(*given), "float32")


@pytest.mark.parametrize("part", range(4))
@each_form
def test_each_part_of_the_kernel_has_its_place(form, part):
    query, keys, kernel, bias = arrays()
    alone = np.zeros_like(kernel)
    alone[4 * part : 4 * part + 4] = kernel[4 * part : 4 * part + 4]
    given = query, keys, alone, 0 * bias
    got = compute(din_hidden, "float32", *given, form)
    assert_close(got, literal(*given), "float32")


@needs_gradients
@each_form
def test_both_forms_have_the_gradient_of_the_concatenation(form):
    query, keys, kernel, bias = (a.astype("float32") for a in arrays())
    w1, w2, w3, w4 = np.split(kernel.sum(axis=1), 4)
    of_query = gradient(
        lambda q: din_hidden(q, keys, kernel, bias, form), query
    )
    of_keys = gradient(lambda k: din_hidden(query, k, kernel, bias, form), keys)
    steps, candidates = keys.shape[1], query.shape[1]
    np.testing.assert_allclose(
        of_query,
        steps * (w1 + w3)
        + keys.sum(axis=1, keepdims=True) * w4
        + np.zeros_like(query),
        rtol=1e-4,
        atol=1e-5,
    )
    np.testing.assert_allclose(
        of_keys,
        candidates * (w2 - w3)
        + query.sum(axis=1, keepdims=True) * w4
        + np.zeros_like(keys),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize(
    ("shape", "form"),
    [
        ((None, 50, 8), "fold"),
        ((None, 4, 64), "split"),
        ((2, 7, 8), "split"),
        ((2, 8, 8), "fold"),
        ((2, 9, 8), "fold"),
        ((None, 1, 1), "fold"),
        ((None, None, 8), "fold"),
        ((None, 4, None), "fold"),
        ((None, 0, None), "fold"),
        ((None, None, None), "fold"),
    ],
)
def test_the_longer_of_steps_and_dim_decides_the_form(shape, form):
    assert din_form(shape) == form


@pytest.mark.parametrize(("form", "products"), [("fold", 1), ("split", 3)])
def test_a_form_is_the_one_that_is_asked_for(monkeypatch, form, products):
    """They give the same numbers; what differs is how many products."""
    calls = []

    def watched(*arguments):
        calls.append(arguments)
        return linear(*arguments)

    monkeypatch.setattr("kseq.ops.attention.linear", watched)
    compute(din_hidden, "float32", *arrays(), form)
    assert len(calls) == products


def test_the_form_is_folded_unless_told_otherwise():
    given = arrays()
    by_default = compute(din_hidden, "float32", *given)
    folded = compute(din_hidden, "float32", *given, "fold")
    np.testing.assert_array_equal(by_default, folded)


@each_dtype
@either_way
def test_attention_weights(dtype, normalize):
    scores = draw("scores", 4, 2, 6)
    got = compute(attention_weights, dtype, scores, MASK, normalize)
    expected = reference.attention_weights(scores, MASK, normalize)
    assert_close(got, expected, dtype)


def test_scores_weigh_as_they_are_unless_told_otherwise():
    scores = draw("scores", 4, 2, 6)
    got = compute(attention_weights, "float32", scores, MASK)
    np.testing.assert_array_equal(got, select(MASK[:, None], scores))


@each_dtype
@either_way
@each_filling
def test_attention_weights_do_not_see_padding(dtype, normalize, filling):
    scores = draw("scores", 4, 2, 6)
    filled = select(MASK[:, None], scores, filling)
    got = compute(attention_weights, dtype, filled, MASK, normalize)
    expected = compute(attention_weights, dtype, scores, MASK, normalize)
    np.testing.assert_array_equal(got, expected)
    assert np.all(got[~np.repeat(MASK[:, None], 2, axis=1)] == 0)


@each_dtype
@either_way
@each_filling
def test_an_empty_history_weighs_nothing(dtype, normalize, filling):
    scores, nothing = np.full((4, 2, 6), filling), np.zeros_like(MASK)
    got = compute(attention_weights, dtype, scores, nothing, normalize)
    np.testing.assert_array_equal(got, np.zeros((4, 2, 6)))


@needs_gradients
@either_way
@each_filling
def test_attention_weights_have_finite_gradients(normalize, filling):
    scores = select(MASK[:, None], draw("scores", 4, 2, 6), filling)
    got = gradient(lambda s: attention_weights(s, MASK, normalize), scores)
    # The weights of a softmax always sum to 1: nothing moves their sum.
    expected = 0.0 if normalize else np.repeat(MASK[:, None], 2, axis=1)
    np.testing.assert_allclose(got, expected + np.zeros_like(got), atol=1e-6)


@each_dtype
@pytest.mark.parametrize("candidates", [1, 3])
@pytest.mark.parametrize("steps", [1, 6])
def test_the_pool_is_the_weighted_sum(dtype, candidates, steps):
    weights, keys = draw("weights", 4, candidates, steps), X[:, :steps]
    got = compute(attention_pool, dtype, weights, keys)
    expected = (weights[..., None] * keys[:, None]).sum(axis=2)
    assert_close(got, expected, dtype)


def attended(query, keys, valid, normalize):
    """All of DIN's attention, with the first layer's sum as the score."""
    query, keys = query.astype("float32"), keys.astype("float32")
    kernel, bias = draw("kernel", 12, 1), draw("bias", 1)
    kept = zero_padding(keys, valid)
    hidden = din_hidden(
        query, kept, kernel.astype("float32"), bias.astype("float32")
    )
    weights = attention_weights(hidden[..., 0], valid, normalize)
    return to_numpy(attention_pool(weights, kept))


QUERY = draw("query", 4, 2, 3)


@either_way
@few_examples
@given(order=st.permutations(range(4)))
def test_attention_follows_the_order_of_the_batch(normalize, order):
    expected = attended(QUERY, X, MASK, normalize)[order]
    got = attended(QUERY[order], X[order], MASK[order], normalize)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


@either_way
@few_examples
@given(order=st.permutations(range(6)))
def test_attention_does_not_know_the_order_of_the_steps(normalize, order):
    expected = attended(QUERY, X, MASK, normalize)
    got = attended(QUERY, X[:, order], MASK[:, order], normalize)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@either_way
@few_examples
@given(more=st.sampled_from([1, 3]), filling=st.sampled_from(FILLINGS))
def test_more_padding_changes_no_attention(normalize, more, filling):
    longer = np.pad(X, ((0, 0), (0, more), (0, 0)), constant_values=filling)
    got = attended(QUERY, longer, np.pad(MASK, ((0, 0), (0, more))), normalize)
    expected = attended(QUERY, X, MASK, normalize)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
