"""What the models do with what real data contain."""

import keras
import numpy as np
import pytest

from kseq.feature_column import SparseFeat, VarLenSparseFeat
from kseq.models import DIN, score_candidates
from kseq.models.arrays import to_array
from tests.models.examples import (
    BATCH,
    BY_NAME,
    CANDIDATE,
    CLICKS,
    arrays,
    inputs_of,
    predict,
)
from tests.models.test_twin import MODELS
from tests.support import assert_close

pytestmark = pytest.mark.once
pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")


@pytest.fixture(scope="module")
def din():
    model = BY_NAME["DIN"].make()
    model.compile("sgd", "binary_crossentropy", run_eagerly=True)
    return model


def changed(name, value, dtype=None):
    """The arrays with one other value, in the last row."""
    x = np.array(arrays()[name], dtype)
    x[-1] = value
    return x


IDS = "expected integers from 0 to 11"
# A feature, its values, and what the error says.
INVALID = {
    "beyond its table": ("item", changed("item", 12), f"{IDS}; received 12 in"),
    "int64": ("item", changed("item", 2**32 + 1), f"{IDS}.*4294967297"),
    "fraction": ("item", changed("item", 0.5, float), f"{IDS}.*0.5 in row 4"),
    "length": ("seq_length", changed("seq_length", 2**31), "integers from -21"),
    "None": ("item", [1, 2, None, 3, 4], f"{IDS} without missing.*None in row"),
    "null": ("item", pa.array([1, 2, 3, None, 5]), f"{IDS}.*nan in row 3"),
    "strings": ("item", ["a", "b", "c", "d", "e"], f"{IDS}.*Vocabulary"),
    "mixed": ("item", np.array([1, "b", 3, 4, 5], object), "one type"),
    "dates": ("item", np.zeros(BATCH, "datetime64[s]"), "dtype datetime"),
    "unequal lists": ("tags", [[1, 2, 3]] * 4 + [[1]], "padded to one length"),
    "NaN": ("price", changed("price", np.nan), "expected finite.*nan in row 4"),
    "overflow": ("price", changed("price", 1e39, float), "finite.*1e.39"),
    "shape": ("tags", [[1, 2]] * BATCH, r"expected shape \(None, 3\)"),
    "rank": ("hist_item", np.ones((5, 4, 3)), r"received shape \(5, 4, 3\)"),
    "one axis": ("price", np.ones(5), r"expected shape \(None, 2\)"),
    "no axis": ("user", np.int32(3), r"received shape \(\)"),
}


@pytest.mark.parametrize("case", INVALID)
def test_invalid_values_raise_in_each_method(case, din):
    name, values, message = INVALID[case]
    valid = inputs_of(din)
    x = {**valid, name: values}
    message = f"^{name}: .*{message}"
    options = {"validation_split": 0.0, "validation_data": (x, CLICKS)}
    for call in (
        lambda: din.fit(x, CLICKS),
        lambda: din.fit(valid, CLICKS, 5, 1, 0, None, *options.values()),
        lambda: din.evaluate(x=x, y=CLICKS),
        lambda: din.predict([*x.values()]),
        lambda: din.train_on_batch(x, CLICKS),
        lambda: din.test_on_batch(x, CLICKS),
        lambda: din.predict_on_batch(x),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    if name == "item":
        user = {n: v[0] for n, v in valid.items() if n not in CANDIDATE}
        with pytest.raises(ValueError, match=message):
            score_candidates(din, user, {n: x[n] for n in CANDIDATE})


@pytest.mark.parametrize(
    ("convert", "message"),
    [
        (lambda x: np.zeros((BATCH, 3)), "a dict, a data frame or a list"),
        (lambda x: pd.Series([1, 2]), "a dict, a data frame or a list"),
        (lambda x: {"item": x["item"]}, "all of .*; received none of .*'hist_"),
        (lambda x: [*x.values()][:-2], "a list of .*'tags'"),
        (lambda x: x | {"item": x["item"][:3]}, "one number of rows"),
    ],
)
def test_other_collections_raise(convert, message, din):
    with pytest.raises(ValueError, match=f"^x: expected {message}"):
        din.predict(convert(inputs_of(din)))


@pytest.mark.parametrize("example", MODELS, ids=lambda e: e.name)
def test_ids_of_each_table_are_limited(example):
    """Also in copies and files; on every backend, with the weights kept."""
    model = example.make()
    copies = [model, keras.models.clone_model(model)]
    x, expected = inputs_of(model), predict(model)
    for name, values in x.items():
        if name == "price" or "length" in name:
            continue
        for wrong in (-1, 12):
            for copy in copies:
                with pytest.raises(ValueError, match=f"^{name}: expected int"):
                    copy.predict({**x, name: np.full_like(values, wrong)})
    assert_close(predict(model), expected)


def test_files_keep_the_sizes_of_tables(din, tmp_path):
    """Older files have none."""
    state = din.get_layer("user_state")
    config = state.get_config()
    assert config.pop("vocabulary_sizes")["hist_item"] == 12
    assert type(state).from_config(config).vocabulary_sizes == {}
    path = tmp_path / "din.keras"
    din.save(path)
    loaded = keras.saving.load_model(path)
    x = {**inputs_of(din), "item": np.full(BATCH, 12)}
    with pytest.raises(ValueError, match=f"^item: {IDS}"):
        loaded.predict(x)


def as_lists(x):
    return {name: values.tolist() for name, values in x.items()}


FORMS = {
    "lists": as_lists,
    "list of lists": lambda x: [*as_lists(x).values()],
    "float64": lambda x: {n: v.astype("float64") for n, v in x.items()},
    "uint64": lambda x: x | {"item": x["item"].astype("uint64")},
    "objects": lambda x: x | {"item": x["item"].astype(object)},
    "nullable": lambda x: x | {"item": pd.Series(x["item"], dtype="Int64")},
    "DataFrame": lambda x: pd.DataFrame(as_lists(x) | {"more": [*"abcde"]}),
    "Table": lambda x: pa.table(as_lists(x) | {"more": [*"abcde"]}),
    "Series": lambda x: {n: pd.Series(v) for n, v in as_lists(x).items()},
    "Arrow arrays": lambda x: {n: pa.array(v) for n, v in as_lists(x).items()},
}


@pytest.mark.parametrize("form", FORMS)
def test_lists_and_frames_equal_arrays(form, din):
    x = inputs_of(din)
    given = FORMS[form](x)
    assert_close(din.predict(given, verbose=0), predict(din))
    if isinstance(given, list):
        return
    others = [n for n in x if n not in CANDIDATE]
    user = {n: x[n][:1] for n in others}
    if isinstance(given, pa.Table):
        given = given.drop_columns(others)
    else:  # a dict or a DataFrame
        for n in others:
            given.pop(n)
    expected = score_candidates(din, user, {n: x[n] for n in CANDIDATE})
    assert_close(score_candidates(din, user, given), expected)


TARGETS = {
    "list": lambda y: y.tolist(),
    "nested lists": lambda y: y[:, None].tolist(),
    "Series": pd.Series,
    "DataFrame": lambda y: pd.DataFrame({"label": y}),
    "Arrow array": pa.array,
}


@pytest.mark.parametrize("form", TARGETS)
def test_forms_of_targets(form, din):
    """Also of sample weights, and in `validation_data` by position."""
    x, y, w = inputs_of(din), CLICKS, np.arange(BATCH) / 2
    expected = din.evaluate(x, y, sample_weight=w, verbose=0)
    give = TARGETS[form]
    assert din.evaluate(x, give(y), None, 0, give(w)) == expected
    data = (pd.DataFrame(as_lists(x)), give(y), give(w))
    history = din.fit(x, y, BATCH, 1, 0, None, 0.0, data).history
    assert history["val_loss"] == [din.evaluate(x, y, None, 0, w)]


@pytest.mark.parametrize("wrong", [np.nan, None, "no"])
def test_invalid_targets_raise(wrong, din):
    x = inputs_of(din)
    values = [0, 1, 0, 1, wrong]
    with pytest.raises(ValueError, match=r"^y: expected finite numbers"):
        din.fit(x, values)
    with pytest.raises(ValueError, match=r"^sample_weight: expected finite"):
        din.train_on_batch(x, CLICKS, values)
    with pytest.raises(ValueError, match=r"^y: expected finite numbers"):
        din.fit(x, CLICKS, validation_data=(x, values))


def test_large_ids_as_floats_stay_exact():
    """Keras would convert them to float32."""
    ids = to_array("ids", np.array([2.0**24 + 1]), "int32", 2**25)
    assert ids.dtype == "int32"
    assert ids[0] == 2**24 + 1


# JAX truncates them to 32 bits.
@pytest.mark.filterwarnings("ignore:Explicitly requested dtype")
def test_columns_of_every_dtype():
    def din(dtype):
        item, hist = (
            SparseFeat(name, 12, 2, dtype=dtype, embedding_name="item")
            for name in ("item", "hist_item")
        )
        return DIN([item, VarLenSparseFeat(hist, 4)], ["item"], seed=1)

    expected = predict(din("int32"))
    for dtype in ("uint16", "int64", "float32"):
        given = {n: x.astype(dtype) for n, x in arrays().items()}
        assert_close(predict(din(dtype), given), expected, name=dtype)
