"""The models, for histories that nobody chose."""

import functools

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from kseq.agreement.tables import tolerance
from kseq.feature_column import (
    DenseFeat,
    SparseFeat,
    VarLenSparseFeat,
    build_input_features,
    get_feature_names,
)
from kseq.models import DIN
from tests.fuzz.examples import ASKED, examples
from tests.models.examples import (
    BY_NAME,
    CANDIDATE,
    SESSIONS,
    SIZES,
    predict,
)

MODELS = ("DIN", "DIEN-GRU", "DIEN-AUGRU-negatives", "DSIN", "BST")
STEPS = 6
HISTORIES = ("hist_", "neg_hist_")


@functools.cache
def model(name):
    return BY_NAME[name].unknown_steps()


def draw_arrays(data):
    """What any of the models is given, by name; and the histories' lengths."""
    batch = data.draw(st.sampled_from((1, 2, 5)))

    def drawn(strategy, *shape):
        return data.draw(
            arrays.arrays("int32", (batch, *shape), elements=strategy)
        )

    def history(name, lengths):
        """Ids that are not 0, and then zeros."""
        ids = drawn(st.integers(1, SIZES[name] - 1), STEPS)
        return np.where(np.arange(STEPS) < lengths[:, None], ids, 0)

    lengths = drawn(st.integers(0, STEPS))
    found = {
        "user": drawn(st.integers(0, SIZES["user"] - 1)),
        "price": drawn(st.integers(-3, 3), 2).astype("float32"),
        "tags": drawn(st.integers(0, SIZES["tags"] - 1), 3),
        "seq_length": lengths,
        "sess_length": drawn(st.integers(0, SESSIONS)),
    }
    of_sessions = [drawn(st.integers(0, STEPS)) for _ in range(SESSIONS)]
    for name in CANDIDATE:
        found[name] = drawn(st.integers(1, SIZES[name] - 1))
        for prefix in HISTORIES:
            found[prefix + name] = history(name, lengths)
        for i, of_session in enumerate(of_sessions):
            found[f"sess_{i}_{name}"] = history(name, of_session)
    return found


def over_time(name):
    return name.startswith((*HISTORIES, "sess_")) and name != "sess_length"


def assert_close(got, expected):
    assert got.shape == expected.shape
    assert np.all(np.isfinite(got))
    # Probabilities; sums of a few hundred terms stand behind them.
    limit = 5 * tolerance("forward", "float32").limit
    assert np.abs(got - expected).max(initial=0) <= limit


def each_model(*models):
    """Every model by itself; in the suite any of them in each example."""
    names = [[name] for name in models] if ASKED else [models]
    return pytest.mark.parametrize("names", names, ids=" ".join)


@each_model(*MODELS)
@examples(1 / 3)
@given(data=st.data())
def test_rows_stay_apart(names, data):
    name = data.draw(st.sampled_from(names))
    given = draw_arrays(data)
    whole = predict(model(name), given)
    order = np.array(data.draw(st.permutations(range(len(whole)))))
    at = data.draw(st.integers(0, len(whole) - 1))

    def of(rows):
        return predict(model(name), {n: x[rows] for n, x in given.items()})

    assert_close(of(order), whole[order])
    assert_close(of(slice(at, at + 1)), whole[at : at + 1])


@each_model(*MODELS)
@examples(1 / 3)
@given(data=st.data())
def test_more_padding_changes_nothing(names, data):
    name = data.draw(st.sampled_from(names))
    given = draw_arrays(data)
    more = data.draw(st.sampled_from((1, 3)))
    longer = {
        n: np.pad(x, ((0, 0), (0, more))) if over_time(n) else x
        for n, x in given.items()
    }
    got = predict(model(name), longer)
    assert_close(got, predict(model(name), given))


@each_model("DIEN-GRU", "DIEN-AUGRU-negatives")
@examples(1 / 3)
@given(data=st.data())
def test_what_lengths_leave_out_is_inert(names, data):
    name = data.draw(st.sampled_from(names))
    given = draw_arrays(data)
    valid = np.arange(STEPS) < given["seq_length"][:, None]
    filled = {
        n: np.where(valid, x, data.draw(st.integers(0, 4)))
        if n.startswith(HISTORIES)
        else x
        for n, x in given.items()
    }
    got = predict(model(name), filled)
    assert_close(got, predict(model(name), given))


NAMES = st.from_regex(r"[a-z][a-z_]{0,7}", fullmatch=True)


@st.composite
def drawn_columns(draw):
    """Columns of a model with one feature of the candidate, "item"."""
    names = iter(draw(st.lists(NAMES, min_size=9, max_size=9, unique=True)))
    names = (name + "_" for name in names)  # none of them is "item"
    size = st.integers(2, 9)
    dim = st.integers(1, 4)
    maxlen = draw(st.sampled_from((None, 1, 4)))
    item = SparseFeat("item", draw(size), draw(dim))
    clicks = SparseFeat(
        "hist_item",
        item.vocabulary_size,
        item.embedding_dim,
        embedding_name="item",
    )
    columns = [item, VarLenSparseFeat(clicks, maxlen)]
    for _ in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(["sparse", "varlen", "dense"]))
        name = next(names)
        if kind == "dense":
            columns.append(DenseFeat(name, draw(st.integers(1, 3))))
            continue
        # JAX would warn that it has no int64.
        dtype = draw(st.sampled_from(("int32", "int16")))
        sparse = SparseFeat(name, draw(size), draw(dim), dtype=dtype)
        if kind == "varlen":
            sparse = VarLenSparseFeat(
                sparse,
                draw(st.sampled_from((None, 1, 3))),
                draw(st.sampled_from(("sum", "mean", "max"))),
                draw(st.sampled_from((None, name + "length"))),
                draw(st.sampled_from((None, name + "weight"))),
                draw(st.booleans()),
            )
        columns.append(sparse)
    return draw(st.permutations(columns))


@examples(1 / 3)
@given(columns=drawn_columns(), data=st.data())
def test_a_model_has_the_inputs_that_its_columns_promise(columns, data):
    expected = {}
    for column in columns:
        match column:
            case SparseFeat():
                expected[column.name] = (1,), column.dtype
            case DenseFeat():
                expected[column.name] = (column.dimension,), "float32"
            case VarLenSparseFeat():
                steps = column.maxlen
                expected[column.name] = (steps,), column.dtype
                if column.weight_name:
                    expected[column.weight_name] = (steps, 1), "float32"
                if column.length_name:
                    expected[column.length_name] = (1,), "int32"
    assert get_feature_names(columns) == [*expected]
    inputs = build_input_features(columns)
    assert {
        name: (x.shape[1:], x.dtype) for name, x in inputs.items()
    } == expected
    made = DIN(columns, ["item"], dnn_hidden_units=(2,), att_hidden_size=(2,))
    assert {x.name: (x.shape[1:], x.dtype) for x in made.inputs} == expected
    # And it takes them.
    sizes = {c.name: c.vocabulary_size for c in columns if hasattr(c, "maxlen")}
    sizes |= {
        c.name: c.vocabulary_size for c in columns if isinstance(c, SparseFeat)
    }
    draw = np.random.default_rng(0)
    batch = data.draw(st.sampled_from((1, 3)))
    given = {
        name: draw.integers(
            sizes.get(name, 3), size=(batch, *(n or 5 for n in shape))
        ).astype(dtype)
        for name, (shape, dtype) in expected.items()
    }
    got = predict(made, given)
    assert got.shape == (batch, 1)
    assert np.all((got > 0) & (got < 1))
    keras.utils.clear_session()
