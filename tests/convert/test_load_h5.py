"""`load_h5` matches a file with a model; otherwise it changes nothing."""

import h5py
import keras
import numpy as np
import pytest

from kseq.convert.deepctr import load_h5
from tests.convert import recorded
from tests.convert.recorded import write_h5

pytestmark = pytest.mark.once
A, B, C = np.full((2, 2), 1.0), np.full((2, 2), 2.0), np.full((3, 2), 3.0)
LAYERS = {"a": {"kernel": A}, "b": {"kernel": B, "bias": np.ones(2)}}


def dense_model(**layers):
    """A model of dense layers (2, 2), by name; with a bias, or not."""
    x = y = keras.Input((2,))
    for name, bias in layers.items():
        name = None if name.startswith("unnamed") else name
        y = keras.layers.Dense(2, use_bias=bias, name=name)(y)
    return keras.Model(x, y)


@pytest.fixture
def model():
    return dense_model(a=False, b=True)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deepctr.h5"


def values(model):
    return [array.ravel()[0] for array in model.get_weights()]


def rejected(model, path, match, layer_names=None):
    before = model.get_weights()
    with pytest.raises(ValueError, match=match) as error:
        load_h5(model, path, layer_names)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    return str(error.value)


@pytest.mark.parametrize("kind", ["weights", "model"])
def test_every_weight_gets_its_array(kind, tmp_path):
    case = recorded.case("din")
    path, model = recorded.write(case, kind, tmp_path), recorded.make(case)
    placements = load_h5(model, str(path))
    assert path.read_bytes() == case.files[kind]
    numbers = recorded.numbers(model)
    assert sorted(p.weight for p in placements) == sorted(numbers)
    assert len({p.source for p in placements}) == len(placements)
    with h5py.File(path) as file:
        layers = file.get("model_weights", file)
        for weight, source, shape in placements:
            array = layers[source.partition("/")[0]][source][()]
            assert array.shape == shape
            np.testing.assert_array_equal(numbers[weight], array)


@pytest.mark.parametrize(
    ("layers", "match"),
    [
        ({"b": {"kernel": B}}, r"b/bias \(2,\)   given: -   <--"),
        (
            {"b": LAYERS["b"] | {"more": A}},
            r"\n  -   given: b/more:0 \(2, 2\)   <--",
        ),
        ({"b": {}}, r"b/kernel \(2, 2\)   given: -   <--"),
        ({"c": {"kernel": C}}, r"  -   given: c/kernel:0 \(3, 2\)   <--"),
        (
            {"b": {"kernel": C, "bias": np.ones(2)}},
            r"b/kernel \(2, 2\)   given: b/kernel:0 \(3, 2\)   <--",
        ),
        (
            {"b": {"kernel": np.ones(2), "bias": B}},
            r"b/kernel \(2, 2\)   given: b/kernel:0 \(2,\)   <--",
        ),
        ({"b": {}, "c": LAYERS["b"]}, r"or to other columns: .*layers c\)"),
    ],
)
def test_mismatches_are_rejected(layers, match, model, path):
    error = rejected(model, write_h5(path, LAYERS | layers), match)
    assert error.startswith("filepath: expected an array for each weight of")
    assert f"received {path}" in error
    assert "a/kernel" not in error  # only the layers at fault are shown
    assert "AUGRU" not in error


def external_link(group, name, other):
    with h5py.File(other, "w") as file:
        file["x"] = A
    group[name] = h5py.ExternalLink(other, "x")


def external_bytes(group, name, other):
    group.create_dataset(name, (2, 2), "f4", external=[(other, 0, 16)])


def virtual_dataset(group, name, other):
    layout = h5py.VirtualLayout((2, 2), "f4")
    layout[:] = h5py.VirtualSource(other, "x", (2, 2))
    group.create_virtual_dataset(name, layout)


def larger_than_memory(group, name, _):
    group.create_dataset(name, (10**15, 1), "f4")


def words(group, name, _):
    group[name] = [[b"a"]]


INVALID = "filepath: expected a valid HDF5 file; received .*deepctr"


@pytest.mark.parametrize(
    ("replace", "match"),
    [
        (words, "filepath: expected arrays of numbers"),
        (lambda *_: None, INVALID),
        (lambda group, name, _: group.create_group(name), INVALID),
        (larger_than_memory, INVALID),
        (external_link, f"{INVALID}.*in another file"),
        (external_bytes, f"{INVALID}.*in another file"),
        (virtual_dataset, f"{INVALID}.*in another file"),
    ],
)
def test_arrays_that_are_not_in_the_file(replace, match, model, path):
    with h5py.File(write_h5(path, LAYERS), "r+") as file:
        del file["a"]["a/kernel:0"]
        replace(file["a"], "a/kernel:0", f"{path}.other")
    rejected(model, path, match)


def test_damaged_files_are_rejected_or_load(tmp_path):
    """Not every byte matters, but no other error may occur."""
    case = recorded.case("din")
    model = recorded.make(case)
    path, whole = tmp_path / "deepctr.h5", case.files["weights"]
    for size in (0, 1, 8, 100, len(whole) // 3, len(whole) - 1):
        path.write_bytes(whole[:size])
        rejected(model, path, INVALID)
    rng = np.random.default_rng(0)
    errors = []
    for start in rng.integers(0, len(whole) - 64, 40):
        path.write_bytes(whole[:start] + rng.bytes(64) + whole[start + 64 :])
        try:
            load_h5(model, path)
        except ValueError as error:
            errors.append(str(error))
    assert errors
    assert all(text.startswith("filepath: expected ") for text in errors)


def test_other_files_are_rejected(model, path, tmp_path):
    rejected(model, tmp_path, r"filepath: .*\(a SavedModel\?\)")
    rejected(model, path, "deepctr.h5, which does not exist")
    path.with_name("deepctr.h5.index").touch()
    rejected(model, path, "deepctr.h5, a TensorFlow checkpoint$")
    path.write_text("words")
    rejected(model, path, INVALID)
    model.save_weights(tmp_path / "kseq.weights.h5")
    rejected(model, tmp_path / "kseq.weights.h5", "2 wrote .*which contains")


def test_models_whose_weights_are_not_in_layers_are_rejected(path):
    class Scaled(keras.Model):
        def build(self, _):
            self.factor = self.add_weight(shape=(1,), name="factor")

    model = Scaled()
    rejected(model, path, "model: expected a built model")
    model.build((1, 1))
    rejected(model, path, "model: expected a model whose weights are all in")


# Names.


def test_the_order_in_a_file_is_ignored(model, path):
    """Frozen weights are saved in another order; long lists in parts."""
    bias_first = {"bias": np.full(2, 3.0), "kernel": B}
    with h5py.File(write_h5(path, LAYERS | {"b": bias_first}), "r+") as file:
        del file.attrs["layer_names"]
        file.attrs["layer_names0"], file.attrs["layer_names1"] = ["b"], [b"a"]
    load_h5(model, path)
    assert values(model) == [1.0, 2.0, 3.0]


def test_unnamed_layers_keep_their_order(path):
    """Keras numbers layers through a session: 9 is before 10."""
    layers = {"dense_10": {"kernel": B}, "dense_9": {"kernel": A}}
    model = dense_model(unnamed=False, unnamed_too=False)
    load_h5(model, write_h5(path, layers))
    assert values(model) == [1.0, 2.0]


def test_numbers_in_given_names_are_compared(path):
    """Two features ad_1 and ad_2 are not "the first" and "the second"."""
    model = dense_model(ad_2=False, ad_3=False)
    load_h5(
        model, write_h5(path, {"ad_3": {"kernel": B}, "ad_2": {"kernel": A}})
    )
    assert values(model) == [1.0, 2.0]
    write_h5(path, {"ad_1": {"kernel": A}, "ad_2": {"kernel": A}})
    error = rejected(model, path, "an array for each weight")
    assert "  ad_3/kernel (2, 2)   given: -   <--" in error


def test_layer_names_rename_layers_or_keep_their_weights(path):
    model = dense_model(click=False, buy=False)
    write_h5(path, {"out_1": {"kernel": A}, "out_2": {"kernel": B}})
    load_h5(model, path, {"click": "out_2", "buy": "out_1"})
    assert values(model) == [2.0, 1.0]
    error = rejected(model, path, "an array for each", {"buy": "out_1"})
    assert "-   given: out_2/kernel:0 (2, 2)   <--" in error
    write_h5(path, {"buy": {"kernel": B}})
    assert len(load_h5(model, path, {"click": None})) == 1
    assert values(model) == [2.0, 2.0]


@pytest.mark.parametrize(
    ("names", "match"),
    [
        ({"c": "b"}, "names of the model's layers with weights"),
        ({"b": "c"}, "names of the file's layers with weights"),
        ({"a": "b", "b": "b"}, "names of the file's layers"),
    ],
)
def test_unknown_and_repeated_names_are_rejected(names, match, model, path):
    write_h5(path, LAYERS)
    rejected(model, path, f"layer_names: expected {match}", names)


def test_errors_explain_what_deepctr_does_not_save(tmp_path):
    case = recorded.case("dien_agru")
    path, model = recorded.write(case, "model", tmp_path), recorded.make(case)
    match = r"layer_names=\{'gru2': None\}, on .*gru2=, loads all others"
    error = rejected(model, path, match)
    assert "gru2/gates_kernel (16, 16)   given: -   <--" in error
