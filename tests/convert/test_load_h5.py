"""What `load_h5` takes, what it refuses, and that it is all or nothing."""

import shutil

import h5py
import keras
import numpy as np
import pytest

from kseq.convert.deepctr import load_h5
from kseq.layers.sequence import AttentionSequencePoolingLayer, DynamicGRU
from tests.convert import recorded

ATTENTION = "attention_sequence_pooling_layer"


@pytest.fixture(scope="module")
def model():
    """One for all: whatever is refused must leave it as it is."""
    return recorded.make(recorded.case("din"))


@pytest.fixture(params=["weights", "model"])
def path(request, tmp_path):
    return recorded.write(recorded.case("din"), request.param, tmp_path)


def layers(file):
    return file.get("model_weights", file)


def rename(group, attribute, change):
    """Change a list of names that is an attribute."""
    group.attrs[attribute] = change([str(n) for n in group.attrs[attribute]])


def refused(model, path, match, layer_names=None):
    before = recorded.numbers(model)
    with pytest.raises(ValueError, match=match) as error:
        load_h5(model, path, layer_names)
    for name, now in recorded.numbers(model).items():
        np.testing.assert_array_equal(now, before[name], err_msg=name)
    return str(error.value)


def test_the_report_says_what_went_where(model, path):
    report = load_h5(model, str(path))
    assert sorted(p.weight for p in report) == sorted(recorded.numbers(model))
    assert len({p.source for p in report}) == len(report)
    with h5py.File(path) as file:
        for weight, source, shape in report:
            layer = source.partition("/")[0]
            array = layers(file)[layer][source][()]  # this file's begin with it
            assert array.shape == shape
            np.testing.assert_array_equal(
                recorded.numbers(model)[weight], array
            )


# What is done to a file, and what is said then.


def without_a_weight(file):
    rename(layers(file)["dnn"], "weight_names", lambda names: names[1:])
    return r"dnn/kernel0 \(21, 32\)   given: -   <--"


def with_one_more(file):
    group = layers(file)["dense"]
    group["dense/bias:0"] = np.zeros(1)
    rename(group, "weight_names", lambda names: [*names, "dense/bias:0"])
    return r"\n  -   given: dense/bias:0 \(1,\)   <--"


def without_a_layer(file):
    rename(layers(file), "layer_names", lambda n: [x for x in n if x != "dnn"])
    return r"dnn/bias1 \(16,\)   given: -   <--"


def with_a_layer_more(file):
    group = layers(file).create_group("dnn_1")
    group.attrs["weight_names"] = [b"dnn_1/kernel0:0"]
    group["dnn_1/kernel0:0"] = np.zeros((2, 2))
    rename(layers(file), "layer_names", lambda names: [*names, "dnn_1"])
    return r"\n  -   given: dnn_1/kernel0:0 \(2, 2\)   <--"


def of_another_shape(file):
    group = layers(file)["sparse_emb_user"]
    del group["sparse_emb_user/embeddings:0"]
    group["sparse_emb_user/embeddings:0"] = np.zeros((6, 4))
    return (
        r"sparse_emb_user/embeddings \(5, 4\)   "
        r"given: sparse_emb_user/embeddings:0 \(6, 4\)   <--"
    )


def of_another_name(file):
    layers(file).move("sparse_emb_user", "sparse_emb_shop")
    rename(
        layers(file),
        "layer_names",
        lambda names: [n.replace("emb_user", "emb_shop") for n in names],
    )
    return r"sparse_emb_user/embeddings \(5, 4\)   given: -   <--(.|\n)*shop"


def swapped(file):
    group = layers(file)["dnn"]
    first, second = "dnn/kernel0:0", "dnn/kernel1:0"
    group.move(first, "spare")
    group.move(second, first)
    group.move("spare", second)
    return r"dnn/kernel0 \(21, 32\)   given: dnn/kernel0:0 \(32, 16\)   <--"


def swapped_layers(file):
    group = layers(file)
    group.move("sparse_seq_emb_hist_item", "spare")
    group.move("sparse_seq_emb_hist_cate", "sparse_seq_emb_hist_item")
    group.move("spare", "sparse_seq_emb_hist_cate")
    return r"given: sparse_seq_emb_hist_item/embeddings:0 \(6, 4\)   <--"


def of_words(file):
    group = layers(file)["dense"]
    del group["dense/kernel:0"]
    group["dense/kernel:0"] = [[b"a"]] * 16
    return "filepath: expected arrays of numbers"


def lacking_what_it_names(file):
    del layers(file)["dense"]["dense/kernel:0"]
    return "filepath: expected a whole HDF5 file; received .*din"


def lacking_a_layer_it_names(file):
    del layers(file)["dense"]
    return "filepath: expected a whole HDF5 file; received .*din"


def with_array(file, make):
    """Of the layer "dense", made anew in its group."""
    group = layers(file)["dense"]
    del group["dense/kernel:0"]
    make(group, "dense/kernel:0")
    return "filepath: expected a whole HDF5 file; received .*din"


def larger_than_any_memory(file):
    return with_array(
        file, lambda group, name: group.create_dataset(name, (10**15, 1), "f4")
    )


def of_another_file_by_a_link(file):
    def link(group, name):
        group[name] = h5py.ExternalLink(beside(file), "x")

    return with_array(file, link) + ".*lie in another file"


def of_another_file_s_bytes(file):
    """Of any file at all, such as one of passwords."""

    def link(group, name):
        group.create_dataset(
            name, (16, 1), "f4", external=[(beside(file), 0, 64)]
        )

    return with_array(file, link) + ".*lie in another file"


def of_another_file_s_array(file):
    def link(group, name):
        layout = h5py.VirtualLayout((16, 1), "f4")
        layout[:] = h5py.VirtualSource(beside(file), "x", (16, 1))
        group.create_virtual_dataset(name, layout)

    return with_array(file, link) + ".*lie in another file"


def beside(file):
    """Another file, with the array "x"."""
    path = f"{file.filename}.other"
    with h5py.File(path, "w") as other:
        other["x"] = np.zeros((16, 1), "f4")
    return path


def a_group_for_an_array(file):
    return with_array(file, lambda group, name: group.create_group(name))


def without_names(file):
    del layers(file).attrs["layer_names"]
    return "filepath: expected a file that Keras 2 wrote .*which holds"


@pytest.mark.parametrize(
    "change",
    [
        without_a_weight,
        with_one_more,
        without_a_layer,
        with_a_layer_more,
        of_another_shape,
        of_another_name,
        swapped,
        swapped_layers,
        of_words,
        lacking_what_it_names,
        lacking_a_layer_it_names,
        larger_than_any_memory,
        of_another_file_by_a_link,
        of_another_file_s_bytes,
        of_another_file_s_array,
        a_group_for_an_array,
        without_names,
    ],
    ids=lambda change: change.__name__,
)
def test_another_file_is_refused(change, model, path):
    with h5py.File(path, "r+") as file:
        match = change(file)
    refused(model, path, match)


@pytest.mark.parametrize("part", [0, 1, 8, 100, 0.1, 0.3, 0.5, 0.8, 0.99, -1])
def test_half_a_file_is_refused(part, model, path):
    whole = path.read_bytes()
    size = int(len(whole) * part) if isinstance(part, float) else part
    path.write_bytes(whole[:size])
    refused(model, path, "filepath: expected a whole HDF5 file; received .*din")


def test_a_damaged_file_is_refused_or_loads(model, path):
    """Not every byte matters: but nothing else may happen."""
    whole = np.frombuffer(path.read_bytes(), "uint8")
    rng = np.random.default_rng(0)
    said = []
    for start in rng.integers(0, len(whole) - 64, 60):
        damaged = whole.copy()
        damaged[start : start + 64] = rng.integers(0, 256, 64)
        path.write_bytes(damaged.tobytes())
        try:
            load_h5(model, path)
        except ValueError as error:
            said.append(str(error))
    assert said
    assert all(words.startswith("filepath: expected ") for words in said)


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("bst", "transformer"),
        (
            "dsin",
            "attention_sequence_pooling_layer_1, sparse_emb_1-item, "
            "sparse_emb_2-cate, transformer, sparse_emb_0-user, bi_lstm",
        ),
        ("dien_gru", "gru1, gru2"),
        ("din_hash", "sparse_seq_emb_tag"),
    ],
)
def test_another_model_s_file_is_refused(name, layers, model, tmp_path):
    path = recorded.write(recorded.case(name), "weights", tmp_path)
    said = refused(model, path, "filepath: expected an array for each weight")
    assert f"received {path}" in said
    assert "looks like another model's" in said
    assert f": DIN has nothing for its {layers}, nor does" in said


def test_only_the_layers_at_fault_are_shown(model, path):
    with h5py.File(path, "r+") as file:
        without_a_weight(file)
    said = refused(model, path, "expected an array for each weight of DIN")
    assert "another model's" not in said
    assert "dnn/bias1 (16,)   given: dnn/bias1:0 (16,)\n" in said
    assert ATTENTION not in said


def test_a_directory_is_refused(model, tmp_path):
    refused(model, tmp_path, r"filepath: expected an HDF5 .*\(a SavedModel\?\)")


def test_no_file_is_refused(model, tmp_path):
    refused(model, tmp_path / "none.h5", "none.h5, which does not exist")


def test_a_checkpoint_is_refused(model, tmp_path):
    (tmp_path / "din.index").touch()
    (tmp_path / "din.data-00000-of-00001").touch()
    refused(model, tmp_path / "din", "din, a TensorFlow checkpoint$")


def test_other_files_are_refused(model, tmp_path):
    (tmp_path / "words.h5").write_text("words")
    refused(model, tmp_path / "words.h5", "a whole HDF5 file")
    np.savez(tmp_path / "arrays.npz", a=1)
    refused(model, tmp_path / "arrays.npz", "a whole HDF5 file")
    model.save(tmp_path / "kseq.keras")
    refused(model, tmp_path / "kseq.keras", "a whole HDF5 file")
    model.save_weights(tmp_path / "kseq.weights.h5")
    refused(model, tmp_path / "kseq.weights.h5", "that Keras 2 wrote")


@pytest.mark.parametrize("path", [None, 3, b"din.h5", ["din.h5"]])
def test_no_path_is_refused(path, model):
    refused(model, path, "filepath: expected the path of an HDF5 file")


def test_no_model_is_refused(path):
    with pytest.raises(ValueError, match="model: expected a Keras model"):
        load_h5(keras.layers.Dense(1), path)
    with pytest.raises(ValueError, match="model: expected a built model"):
        load_h5(keras.Sequential([keras.layers.Dense(1)]), path)


def test_a_weight_of_no_layer_is_refused(path):
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.factor = self.add_weight(shape=(1,), name="factor")

        def call(self, x):
            return x * self.factor

    own = Own()
    own(np.ones((1, 1), "float32"))
    refused(own, path, "model: expected a model whose weights are all in its")


# How arrays lie in a file, and what fails on the way.


@pytest.mark.parametrize("dtype", [">f4", "<f8", "longdouble", "f2", ">i8"])
def test_numbers_of_any_kind(dtype, model, path):
    """A machine's of another byte order, or longer than a backend takes."""
    numbers = np.arange(16).reshape(16, 1)
    with h5py.File(path, "r+") as file:
        with_array(
            file,
            lambda group, name: group.create_dataset(
                name, data=numbers.astype(dtype)
            ),
        )
    load_h5(model, path)
    np.testing.assert_array_equal(
        recorded.numbers(model)["dense/kernel"], numbers
    )


@pytest.mark.parametrize("at", [0, 1, 9])
def test_what_fails_in_the_middle_changes_nothing(at, path, monkeypatch):
    model = recorded.make(recorded.case("din"))
    before = recorded.numbers(model)
    assign = keras.Variable.assign
    assigned = []

    def fail(self, value):
        assigned.append(self.path)
        if len(assigned) == at + 1:
            raise MemoryError("the device is full")
        return assign(self, value)

    monkeypatch.setattr(keras.Variable, "assign", fail)
    with pytest.raises(MemoryError, match="the device is full"):
        load_h5(model, path)
    assert len(assigned) > at
    for name, now in recorded.numbers(model).items():
        np.testing.assert_array_equal(now, before[name], err_msg=name)
    load_h5(model, path)
    now = recorded.numbers(model)
    assert any(np.any(now[name] != before[name]) for name in now)


# Names.


def test_numbers_of_a_session_do_not_matter(tmp_path):
    """The third BST of a session, and blocks that are told apart by order."""
    case = recorded.case("bst_two_blocks")
    path = recorded.write(case, "weights", tmp_path)
    with h5py.File(path, "r+") as file:
        # 9 before 10, which stand the other way round in the alphabet.
        old = [n for n in file.attrs["layer_names"] if "transformer" in n]
        assert old == ["transformer_2", "transformer_3"]
        new = {old[0]: "transformer_9", old[1]: "transformer_10"}
        for name in old:
            file.move(name, new[name])
        rename(
            file, "layer_names", lambda names: [new.get(n, n) for n in names]
        )
    model = recorded.make(case)
    load_h5(model, path)
    got = recorded.predict(model, recorded.inputs(case))
    np.testing.assert_allclose(got, case.predictions, atol=1e-5)


def test_the_order_within_a_layer_does_not_matter(model, path):
    """A frozen layer's weights are saved in another one."""
    load_h5(model, path)
    before = recorded.numbers(model)
    with h5py.File(path, "r+") as file:
        rename(
            layers(file)[ATTENTION],
            "weight_names",
            lambda names: sorted(names, key=lambda n: ("dice_1" in n, n[::-1])),
        )
    for weight in model.weights:
        weight.assign(np.zeros(weight.shape))
    load_h5(model, path)
    for name, now in recorded.numbers(model).items():
        np.testing.assert_array_equal(now, before[name], err_msg=name)


def test_many_names_in_parts(model, path):
    """Keras cuts a list of names that is too long for one attribute."""
    with h5py.File(path, "r+") as file:
        group = layers(file)
        names = group.attrs["layer_names"]
        del group.attrs["layer_names"]
        for i, part in enumerate(np.array_split(names, 3)):
            group.attrs[f"layer_names{i}"] = part
    assert len(load_h5(model, path)) == len(model.weights)


def own_model(dense=None, attention=None):
    """Not of kseq.models, but with the layers of DeepCTR's DIN."""
    query = keras.Input((1, 8))
    keys = keras.Input((4, 8))
    lengths = keras.Input((1,), dtype="int32")
    pooled = AttentionSequencePoolingLayer((6, 5), "dice", name=attention)(
        [query, keys, lengths]
    )
    flat = keras.layers.Flatten()(pooled)
    out = keras.layers.Dense(1, use_bias=False, name=dense)(flat)
    return keras.Model([query, keys, lengths], out)


def own_file(tmp_path, names=(("dense", "dense"), (ATTENTION, ATTENTION))):
    """The layers of the recorded model that `own_model` has, by new names."""
    source = recorded.write(recorded.case("din"), "weights", tmp_path)
    path = tmp_path / "own.h5"
    with h5py.File(source) as old, h5py.File(path, "w") as new:
        for name, renamed in names:
            old.copy(name, new, renamed)
        group = new["dense"] if "dense" in new else new[names[0][1]]
        del group["dense/kernel:0"]
        group["dense/kernel:0"] = np.arange(8.0)[:, None]
        new.attrs["layer_names"] = [n.encode() for _, n in names]
    return path


def test_a_model_of_one_s_own(tmp_path):
    """Names that Keras gave are found, whatever their number."""
    own_model()
    model = own_model()
    report = load_h5(model, own_file(tmp_path))
    assert len(report) == len(model.weights)
    kernel = next(p.weight for p in report if p.source == "dense/kernel:0")
    assert recorded.numbers(model)[kernel][3, 0] == 3.0


def test_names_of_one_s_own_are_told(tmp_path):
    model = own_model("click", "interest")
    renamed = (("dense", "output_1"), (ATTENTION, "din"))
    path = own_file(tmp_path, renamed)
    refused(model, path, r"click/kernel \(8, 1\)   given: -   <--")
    names = {"click": "output_1", "interest": "din"}
    assert len(load_h5(model, path, names)) == len(model.weights)
    said = refused(model, path, "an array for each", {"interest": "din"})
    assert "-   given: output_1/kernel:0 (8, 1)   <--" in said
    assert "local_activation_unit" not in said


def test_a_layer_may_stay_as_it_is(tmp_path):
    model = own_model("click")
    path = own_file(tmp_path)
    with h5py.File(path, "r+") as file:
        rename(file, "layer_names", lambda names: [ATTENTION])
    before = recorded.numbers(model)
    report = load_h5(model, path, {"click": None})
    assert len(report) == len(model.weights) - 1
    now = recorded.numbers(model)
    np.testing.assert_array_equal(now["click/kernel"], before["click/kernel"])


@pytest.mark.parametrize(
    ("names", "match"),
    [
        ({"dnn_9": "dnn"}, "names of the model's layers with weights"),
        ({"flatten": "dnn"}, "names of the model's layers with weights"),
        ({"dnn": "dnn_9"}, "names of the file's layers with weights"),
        ({"dnn": "dense", "dense": "dense"}, "names of the file's layers"),
    ],
)
def test_wrong_names_are_refused(names, match, model, path):
    refused(model, path, f"layer_names: expected {match}", names)


def test_dense_layers_of_one_shape_keep_their_order(tmp_path):
    """Two layers of one kind: the first of the file is the model's first."""
    x = keras.Input((2,))
    y = keras.layers.Dense(2, use_bias=False)(x)
    model = keras.Model(x, keras.layers.Dense(2, use_bias=False)(y))
    path = tmp_path / "dense.h5"
    with h5py.File(path, "w") as file:
        for value, name in ((11.0, "dense_11"), (2.0, "dense_2")):
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}/kernel:0".encode()]
            group[f"{name}/kernel:0"] = np.full((2, 2), value)
        file.attrs["layer_names"] = [b"dense_11", b"dense_2"]
    load_h5(model, path)
    # Not sorted by name: of dense_9 and dense_10 the latter would come first.
    values = [layer.get_weights()[0][0, 0] for layer in model.layers[1:]]
    assert values == [2.0, 11.0]


def tables(path, names):
    """A file of embedding tables of one shape, and a model of the same."""
    with h5py.File(path, "w") as file:
        for name in names:
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}/embeddings:0"]
            group[f"{name}/embeddings:0"] = np.full((3, 2), int(name[-1]))
        file.attrs["layer_names"] = names
    x = keras.Input((1,), dtype="int32")
    outputs = [keras.layers.Embedding(3, 2, name=name)(x) for name in names]
    return keras.Model(x, outputs)


def test_numbers_in_names_of_one_s_own_count(tmp_path):
    """Two features, ad_1 and ad_2, are not "the first" and "the second"."""
    path, other = tmp_path / "tables.h5", tmp_path / "other.h5"
    model = tables(path, ["sparse_emb_ad_1", "sparse_emb_ad_2"])
    tables(other, ["sparse_emb_ad_2", "sparse_emb_ad_3"])
    load_h5(model, path)
    for name, array in recorded.numbers(model).items():
        assert np.all(array == int(name.removesuffix("/embeddings")[-1]))
    said = refused(model, other, "an array for each weight")
    assert "  sparse_emb_ad_1/embeddings (3, 2)   given: -   <--" in said
    assert "  -   given: sparse_emb_ad_3/embeddings:0 (3, 2)   <--" in said


# AGRU and AUGRU.


@pytest.mark.parametrize("name", ["dien_agru", "dien_augru", "dien_negatives"])
def test_what_deepctr_never_saved_is_said(name, tmp_path):
    case = recorded.case(name)
    model = recorded.make(case)
    path = recorded.write(case, "model", tmp_path)
    said = refused(
        model, path, r"layer_names=\{'gru2': None\}, on .*, loads all others"
    )
    assert "gru2/gates_kernel (16, 16)   given: -   <--" in said
    load_h5(model, path, {"gru2": None})


def test_nothing_is_said_of_agru_where_there_is_none(model, path):
    with h5py.File(path, "r+") as file:
        without_a_weight(file)
    assert "AUGRU" not in refused(model, path, "an array for each weight")


def test_a_gru_s_weights_find_their_names(tmp_path):
    x, lengths = keras.Input((3, 2)), keras.Input((1,), dtype="int32")
    model = keras.Model([x, lengths], DynamicGRU(name="gru1")([x, lengths]))
    source = recorded.write(recorded.case("dien_gru"), "weights", tmp_path)
    with h5py.File(source) as old, h5py.File(tmp_path / "gru.h5", "w") as new:
        old.copy("gru1", new)
        new.attrs["layer_names"] = [b"gru1"]
    said = refused(model, tmp_path / "gru.h5", "an array for each weight")
    assert (
        "gru1/gates_kernel (4, 4)   "
        "given: gru1/gru_cell/gates/kernel:0 (16, 16)   <--" in said
    )


def test_the_file_is_not_changed(model, path, tmp_path):
    copy = shutil.copy(path, tmp_path / "copy.h5")
    load_h5(model, path)
    assert path.read_bytes() == (tmp_path / copy).read_bytes()
