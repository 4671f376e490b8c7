"""The Transformer's attention, head by head in NumPy."""

import re

import numpy as np
import pytest
from keras import ops

from kseq.ops import multi_head, multi_head_attention
from kseq.ops.backends.plain import no_form
from kseq.ops.multi_head import ATTENTION_TYPES, _group_size
from tests.arrays import to_numpy
from tests.ops.compute import (
    BACKEND,
    assert_close,
    compute,
    draw,
    each_dtype,
    gradient,
    needs_gradients,
)
from tests.reference.masks import select, softmax
from tests.reference.transformer import scores

QUERY = draw("queries", 4, 2, 3, 4)
KEYS = draw("attended keys", 4, 2, 5, 4)
VALUES = draw("attended values", 4, 2, 5, 4)
VALID = np.array(
    [[1, 1, 1, 1, 1], [1, 0, 1, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]], bool
)
QUERY_VALID = np.array([[1, 1, 1], [0, 1, 1], [1, 1, 0], [1, 1, 1]], bool)
WEIGHTS = {
    "ln": [draw(f"ln {i}", 4) for i in range(4)],
    "additive": [draw(f"additive {i}", 4) for i in range(2)],
}
BLINDED = ~np.eye(3, 5, dtype=bool)

each_type = pytest.mark.parametrize("kind", ATTENTION_TYPES)
either_way = pytest.mark.parametrize("blinding", [False, True])


def expected_of(kind, blinding=False, query_valid=None, drop=None):
    allowed = np.repeat(VALID[:, None], 3, axis=1)
    if blinding:
        allowed = allowed & BLINDED
    heads = []
    for h in range(2):
        q, k, v = QUERY[:, h], KEYS[:, h], VALUES[:, h]
        shown = softmax(scores(q, k, kind, WEIGHTS.get(kind, ())), allowed)
        heads.append((shown if drop is None else shown * drop) @ v)
    found = np.stack(heads, axis=1)
    if query_valid is None:
        return found
    return select(query_valid[:, None, :, None], found)


def attend(kind, **options):
    def function(query, keys, values, *weights):
        return multi_head_attention(
            query, keys, values, VALID, kind, weights, **options
        )

    return function


def given(kind):
    return QUERY, KEYS, VALUES, *WEIGHTS.get(kind, ())


@each_dtype
@each_type
@either_way
def test_attention(dtype, kind, blinding):
    function = attend(kind, blinding=blinding, query_valid=QUERY_VALID)
    got = compute(function, dtype, *given(kind))
    expected = expected_of(kind, blinding, QUERY_VALID)
    # A cosine is multiplied by 20 before it is an exponent.
    if not (kind == "cos" and dtype in ("float16", "bfloat16")):
        assert_close(got, expected, dtype)
    assert np.all(got[3] == 0)
    assert np.all(got[1, :, 0] == 0)


@each_type
@either_way
@pytest.mark.parametrize("most", [1, 5, 11, 20, 60])
def test_groups_of_queries_give_the_same(kind, blinding, most):
    options = {"blinding": blinding, "query_valid": QUERY_VALID}
    function = attend(kind, most_scores=most, **options)
    got = compute(function, "float32", *given(kind))
    expected = expected_of(kind, blinding, QUERY_VALID)
    assert_close(got, expected, "float32")


@each_dtype
def test_groups_have_the_dtype_of_the_query(dtype):
    function = attend("scaled_dot_product", most_scores=5)
    got = compute(function, dtype, *given("scaled_dot_product"))
    assert_close(got, expected_of("scaled_dot_product"), dtype)


def test_one_head_is_taken_in_groups():
    one = [x[:, :1] for x in (QUERY, KEYS, VALUES)]
    got = compute(
        attend("additive", most_scores=1), "float32", *one, *WEIGHTS["additive"]
    )
    assert_close(got, expected_of("additive")[:, :1], "float32")


@each_type
def test_one_head(kind):
    one = [x[:, :1] for x in (QUERY, KEYS, VALUES)]
    got = compute(attend(kind), "float32", *one, *WEIGHTS.get(kind, ()))
    assert_close(got, expected_of(kind)[:, :1], "float32")


def test_one_number_a_head():
    one = [x[..., :1] for x in (QUERY, KEYS, VALUES)]
    got = compute(attend("scaled_dot_product"), "float32", *one)
    allowed = np.repeat(VALID[:, None], 3, axis=1)
    for h in range(2):
        s = scores(one[0][:, h], one[1][:, h], "scaled_dot_product", ())
        expected = softmax(s, allowed) @ one[2][:, h]
        assert_close(got[:, h], expected, "float32")


@pytest.mark.parametrize("kind", ["additive", "cos"])
def test_groups_are_of_the_sizes_at_hand(monkeypatch, kind):
    told = []

    def watched(query, values, *sizes):
        told.append((tuple(query.shape), tuple(values.shape), *sizes))

    monkeypatch.setattr(multi_head, "_group_size", watched)
    monkeypatch.setattr(multi_head, "fused_attention", no_form)
    function = attend(kind, most_scores=77, max_steps=9)
    compute(function, "float32", *given(kind))
    assert told == [(QUERY.shape, VALUES.shape, kind == "additive", 9, 77)]


@pytest.mark.parametrize(
    ("kind", "dropout", "asked"),
    [
        ("cos", None, True),
        ("scaled_dot_product", None, True),
        ("ln", None, True),
        ("additive", None, False),
        ("cos", lambda shown: shown, False),
    ],
)
def test_attention_of_the_backend_s_own_is_taken(
    monkeypatch, kind, dropout, asked
):
    told = []

    def own(query, keys, values, query_valid, valid, blinding):
        told.append((to_numpy(query_valid), to_numpy(valid), blinding))
        return query * 0 + 7

    monkeypatch.setattr(multi_head, "fused_attention", own)
    function = attend(
        kind, dropout=dropout, blinding=True, query_valid=QUERY_VALID
    )
    got = compute(function, "float32", *given(kind))
    assert bool(told) == bool(np.all(got == 7)) == asked
    for query_valid, valid, blinding in told:
        np.testing.assert_array_equal(query_valid, QUERY_VALID)
        np.testing.assert_array_equal(valid, VALID)
        assert blinding is True


@pytest.mark.parametrize(("size", "groups"), [(1, 3), (2, 2)])
def test_groups_are_few_and_computed_again(monkeypatch, size, groups):
    """To spare memory: nothing else would show it."""
    told = []
    loop = multi_head.loop

    def watched(step, sequences, *arguments, recompute=False):
        told.append((recompute, [tuple(x.shape)[1] for x in sequences]))
        return loop(step, sequences, *arguments, recompute=recompute)

    monkeypatch.setattr(multi_head, "loop", watched)
    monkeypatch.setattr(multi_head, "fused_attention", no_form)
    monkeypatch.setattr(multi_head, "_group_size", lambda *sizes: size)
    got = compute(attend("cos"), "float32", *given("cos"))
    assert_close(got, expected_of("cos"), "float32")
    assert told == [(True, [groups, groups])]


def test_the_defaults():
    got = compute(
        lambda q, k, v: multi_head_attention(q, k, v, VALID),
        "float32",
        *(QUERY, KEYS, VALUES),
    )
    assert_close(got, expected_of("scaled_dot_product"), "float32")


@each_type
@pytest.mark.parametrize("most", [1, 1 << 20])
def test_dropout_is_of_the_softmax(kind, most):
    drop = np.array([2.0, 0.0, 2.0, 0.0, 2.0])
    calls = []

    def dropout(shown):
        calls.append(tuple(shown.shape))
        return shown * ops.convert_to_tensor(drop, "float32")

    function = attend(kind, dropout=dropout, most_scores=most)
    got = compute(function, "float32", *given(kind))
    assert_close(got, expected_of(kind, drop=drop), "float32")
    # Never in groups: those are computed again for the gradient.
    assert calls == [(4, 2, 3, 5)]


@each_type
def test_large_scores_and_values_stay_finite(kind):
    def function(query, keys, values, *weights):
        return attend(kind)(query * 200, keys * 200, values * 200, *weights)

    got = compute(function, "float32", *given(kind))
    assert np.all(np.isfinite(got))
    assert np.all(got[3] == 0)
    # Hidden keys stay hidden, however large a score is.
    changed = np.where(VALID[:, None, :, None], KEYS, 1e4)
    hidden = compute(function, "float32", QUERY, changed, *given(kind)[2:])
    np.testing.assert_array_equal(got, hidden)


@needs_gradients
@either_way
@pytest.mark.parametrize("most", [5, 60])
def test_gradients_of_the_values(blinding, most):
    """The answers are linear in them."""
    function = attend("cos", blinding=blinding, most_scores=most)
    got = gradient(
        lambda v: function(QUERY.astype("float32"), KEYS.astype("float32"), v),
        VALUES,
    )
    allowed = np.repeat(VALID[:, None], 3, axis=1)
    if blinding:
        allowed = allowed & BLINDED
    for h in range(2):
        shown = softmax(
            scores(QUERY[:, h], KEYS[:, h], "cos", ()), allowed
        ).sum(axis=1)
        np.testing.assert_allclose(
            got[:, h], np.repeat(shown[..., None], 4, axis=2), atol=1e-5
        )


@needs_gradients
@each_type
@pytest.mark.parametrize("most", [5, 60])
def test_gradients_of_the_query(kind, most):
    function = attend(kind, most_scores=most)
    more = [x.astype("float32") for x in given(kind)[1:]]
    got = gradient(lambda q: function(q, *more), QUERY)
    allowed = np.repeat(VALID[:, None], 3, axis=1)
    expected = np.zeros_like(QUERY)
    for index in np.ndindex(QUERY.shape):
        moved = QUERY.astype(complex)
        moved[index] += 1e-30j
        h = index[1]
        s = scores(moved[:, h], KEYS[:, h], kind, WEIGHTS.get(kind, ()))
        expected[index] = (
            softmax(s, allowed) @ VALUES[:, h]
        ).sum().imag / 1e-30
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.skipif(
    BACKEND == "openvino",
    reason="it ends the process (docs/upstream/openvino_no_steps.py)",
)
def test_no_keys_and_no_queries():
    for queries, steps in ((3, 0), (0, 5)):
        got = compute(
            lambda q, k, v, n=steps: multi_head_attention(
                q, k, v, np.ones((4, n), bool)
            ),
            "float32",
            *(QUERY[:, :, :queries], KEYS[:, :, :steps], VALUES[:, :, :steps]),
        )
        np.testing.assert_array_equal(got, np.zeros((4, 2, queries, 4)))


@pytest.mark.parametrize(
    ("sizes", "options", "expected"),
    [
        # Three queries of two heads and 4 numbers each, five keys.
        ((3, 5), {}, None),
        ((3, 5), {"most_scores": 15}, None),
        ((3, 5), {"most_scores": 14}, 1),
        ((3, 5), {"most_scores": 1}, 1),
        ((30, 5), {"most_scores": 149}, 14),
        ((30, 5), {"most_scores": 140}, 14),
        ((30, 5), {"most_scores": 139}, 13),
        ((3, 5), {"additive": True, "most_scores": 60}, None),
        ((3, 5), {"additive": True, "most_scores": 59}, 1),
        ((30, 5), {"additive": True, "most_scores": 120}, 3),
        ((None, 5), {"most_scores": 1}, None),
        ((3, None), {"most_scores": 1}, None),
        ((None, 5), {"most_scores": 50, "max_steps": 10}, None),
        ((None, 5), {"most_scores": 49, "max_steps": 10}, 4),
        ((3, None), {"most_scores": 29, "max_steps": 10}, 1),
    ],
)
def test_how_many_queries_are_taken_at_once(sizes, options, expected):
    class Shaped:
        def __init__(self, steps):
            self.shape = (None, 2, steps, 4)

    defaults = {"additive": False, "max_steps": None, "most_scores": 1 << 20}
    query, values = map(Shaped, sizes)
    assert _group_size(query, values, **(defaults | options)) == expected


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"attention_type": "dot"},
            "attention_type: expected one of 'scaled_dot_product', 'cos', "
            "'ln', 'additive'; received 'dot'",
        ),
        (
            {"keys": KEYS[0].astype("float32")},
            "keys: expected a tensor of rank 4; received shape (2, 5, 4)",
        ),
        (
            {"values": VALUES[0].astype("float32")},
            "values: expected a tensor of rank 4; received shape (2, 5, 4)",
        ),
        (
            {"attention_type": "additive"},
            "weights: expected 2 of them for 'additive'; received ()",
        ),
        (
            {"weights": (1, 2)},
            "weights: expected 0 of them for 'scaled_dot_product'; received "
            "(1, 2)",
        ),
        (
            {"valid": VALID[:, :4]},
            "valid: expected shape (batch, steps) with steps = 5; received "
            "(4, 4)",
        ),
        (
            {"query_valid": QUERY_VALID[:, :2]},
            "query_valid: expected shape (batch, queries) with queries = 3; "
            "received (4, 2)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(changed, message):
    arguments = {
        "query": QUERY.astype("float32"),
        "keys": KEYS.astype("float32"),
        "values": VALUES.astype("float32"),
        "valid": VALID,
    }
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        multi_head_attention(**arguments | changed)
