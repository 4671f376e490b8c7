"""DeepCTR's weights are matched with a model's; otherwise nothing changes."""

import h5py
import keras
import numpy as np
import pytest

from kseq.convert.deepctr import (
    load_h5,
    set_layer_weights,
    weights_in_deepctr_order,
)
from kseq.layers.core import Dice
from kseq.layers.sequence import AttentionSequencePoolingLayer
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


def values(layer):
    return [array.ravel()[0] for array in layer.get_weights()]


def rejected(model, path, match, layer_names=None):
    before = model.get_weights()
    with pytest.raises(ValueError, match=match) as error:
        load_h5(model, path, layer_names)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    return str(error.value)


SWAPPED = {"kernel": np.ones(2), "bias": B}


@pytest.mark.parametrize(
    ("layers", "match"),
    [
        ({"b": {"kernel": B}}, r"b/bias \(2,\)   given: -   <--"),
        ({"b": LAYERS["b"] | {"more": A}}, r"\n  -   given: b/more:0 \(2, 2\)"),
        ({"c": {"kernel": C}}, r"  -   given: c/kernel:0 \(3, 2\)   <--"),
        ({"b": SWAPPED}, r"b/kernel \(2, 2\)   given: b/kernel:0 \(2,\)   <--"),
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


def virtual_dataset(group, name, other):
    layout = h5py.VirtualLayout((2, 2), "f4")
    layout[:] = h5py.VirtualSource(other, "x", (2, 2))
    group.create_virtual_dataset(name, layout)


def dataset(shape, dtype="f4", is_external=False):
    def create(group, name, other):
        external = [(other, 0, 16)] if is_external else None
        group.create_dataset(name, shape, dtype, external=external)

    return create


INVALID = "filepath: expected a valid HDF5 file; received .*deepctr"
ELSEWHERE = f"{INVALID}.*in another file"


@pytest.mark.parametrize(
    ("replace", "match"),
    [
        (dataset((2, 2), "S1"), "filepath: expected arrays of numbers"),
        (lambda *_: None, INVALID),
        (lambda group, name, _: group.create_group(name), INVALID),
        (dataset((10**15, 1)), INVALID),  # larger than memory
        (external_link, ELSEWHERE),
        (dataset((2, 2), is_external=True), ELSEWHERE),
        (virtual_dataset, ELSEWHERE),
    ],
)
def test_arrays_that_are_not_in_the_file(replace, match, model, path):
    with h5py.File(write_h5(path, LAYERS), "r+") as file:
        del file["a"]["a/kernel:0"]
        replace(file["a"], "a/kernel:0", f"{path}.other")
    rejected(model, path, match)


def test_damaged_files_are_rejected_or_load(path):
    """Not every byte matters, but no other error may occur."""
    case = recorded.case("din")
    model, whole = recorded.make(case), case.files["weights"]
    for size in (0, 8, len(whole) // 3, len(whole) - 1):
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


@pytest.mark.parametrize(
    ("names", "stored"),
    [
        # Keras numbers layers through a session: 9 is before 10.
        (("unnamed", "unnamed_too"), ("dense_9", "dense_10")),
        # Features ad_2 and ad_3 are not "the first" and "the second".
        (("ad_2", "ad_3"), ("ad_2", "ad_3")),
    ],
)
def test_layers_are_matched_by_name_or_number(names, stored, path):
    model, (one, two) = dense_model(**dict.fromkeys(names, False)), stored
    load_h5(model, write_h5(path, {two: {"kernel": B}, one: {"kernel": A}}))
    assert values(model) == [1.0, 2.0]
    write_h5(path, {"ad_1": {"kernel": A}, "ad_2": {"kernel": A}})
    rejected(model, path, r"/kernel \(2, 2\)   given: -   <--")


def test_layer_names_rename_layers_or_keep_their_weights(path):
    model = dense_model(click=False, buy=False)
    write_h5(path, {"out_1": {"kernel": A}, "out_2": {"kernel": B}})
    load_h5(model, path, {"click": "out_2", "buy": "out_1"})
    assert values(model) == [2.0, 1.0]
    match = r"-   given: out_2/kernel:0 \(2, 2\)   <--"
    rejected(model, path, match, {"buy": "out_1"})
    for names in (
        {"c": "out_1"},
        {"buy": "c"},
        {"click": "out_1", "buy": "out_1"},
    ):
        rejected(model, path, "layer_names: expected names of the ", names)
    write_h5(path, {"buy": {"kernel": B}})
    assert len(load_h5(model, path, {"click": None})) == 1
    assert values(model) == [2.0, 2.0]


def test_errors_explain_what_deepctr_does_not_save(tmp_path):
    case = recorded.case("dien_agru")
    path, model = recorded.write(case, "model", tmp_path), recorded.make(case)
    match = r"layer_names=\{'gru2': None\}, on .*gru2=, loads all others"
    error = rejected(model, path, match)
    assert "gru2/gates_kernel (16, 16)   given: -   <--" in error


# Weights of single layers.


@pytest.fixture
def layer():
    layer = AttentionSequencePoolingLayer((4, 2), "dice")
    layer.build((None, 1, 3), (None, 5, 3))
    return layer


def arrays_for(layer):
    """An array for each weight, filled with its index in DeepCTR's order."""
    weights = enumerate(weights_in_deepctr_order(layer))
    return [np.full(weight.shape, float(i)) for i, weight in weights]


@pytest.mark.parametrize("trainable", [True, False])
def test_weights_have_deepctr_s_order(layer, trainable):
    layer.trainable = trainable
    set_layer_weights(layer, arrays_for(layer))
    weights = weights_in_deepctr_order(layer)
    assert [w.name for w in weights] == [
        *("kernel", "bias", "kernel0", "kernel1", "bias0", "bias1"),
        *("dice_alpha", "dice_alpha"),
        *("moving_mean", "moving_variance", "moving_mean", "moving_variance"),
    ]
    for i, weight in enumerate(weights):
        assert np.all(weight.numpy() == i)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda w: w[:-1], id="one too few"),
        pytest.param(lambda w: [*w, np.zeros(2)], id="one too many"),
        pytest.param(lambda w: [w[0].T, *w[1:]], id="another shape"),
        pytest.param(lambda w: [w[1], w[0], *w[2:]], id="another order"),
    ],
)
def test_other_weights_change_nothing(layer, change):
    before = values(layer)
    match = r"weights: expected 12 weights(.|\n)*unit/kernel \(2, 1\)(.|\n)*<--"
    with pytest.raises(ValueError, match=match):
        set_layer_weights(layer, change(arrays_for(layer)))
    assert values(layer) == before
    with pytest.raises(ValueError, match="layer: expected a built layer"):
        set_layer_weights(Dice(), [])


def test_unused_deepctr_weights_are_ignored(path):
    model = dense_model(b=True)
    layer = model.layers[-1]
    given = {"kernel": A, "unused": B, "bias": np.full(2, 3.0)}
    write_h5(path, {"b": given})
    rejected(model, path, "-   given: b/unused:0")
    layer.unused_deepctr_weights = {"unused": 1}
    load_h5(model, path)
    assert values(model) == [1.0, 3.0]
    set_layer_weights(layer, [B, A, np.ones(2)])
    assert values(model) == [2.0, 1.0]
    with pytest.raises(ValueError, match="expected 3 weights"):
        set_layer_weights(layer, [*given.values(), A])
