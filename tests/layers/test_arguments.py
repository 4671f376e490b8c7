"""Names and arguments of the layers: stored, validated, and in the config."""

import inspect
import json

import keras
import numpy as np
import pytest

import kseq.layers.core
import kseq.layers.sequence
from kseq.layers import DNN, PositionEncoding, positional_encoding
from tests.layers.catalog import BY_CLASS, EXAMPLES, LAYERS, SOME, draw32, each
from tests.support import to_numpy

pytestmark = pytest.mark.once

ARGUMENTS = [
    pytest.param(layer, name, id=f"{layer.name}-{name}")
    for layer in LAYERS
    for name in layer.arguments
    if not name.startswith("kernel_")  # which Keras validates
]
NAN = float("nan")
NO_BOOLS = (None, 0, 1, "yes", [True], np.True_)
NO_INTEGERS = ("3", 1.0, NAN, True, [3], {}, 1j)
NO_NUMBERS = (None, "1", True, [0.5], NAN, float("inf"), 1j, -0.1)
WRONG = {
    "activation": ("nope", 3, 1.5, dict, [1], object),
    "seed": (-1, 2**31, 10**30, *NO_INTEGERS),
    "axis": (None, *NO_INTEGERS),
    "res_layers": (-1, 9, *NO_INTEGERS),
    "alpha": NO_NUMBERS,
    "epsilon": NO_NUMBERS,
    "l2_reg": NO_NUMBERS,
    "dropout_rate": (1, 2, *NO_NUMBERS),
    "momentum": (1.0, *NO_NUMBERS),
    "hidden_units": (None, 4, "80", {4: 1}, (4, 0), (1.5,), (True,)),
}


def wrong_values(name, values):
    for key, wrong in WRONG.items():
        if name.endswith(key):
            return wrong
    if {True, False} == set(values):
        return NO_BOOLS
    if any(isinstance(v, str) for v in values):
        return ("other", "", 1, True, ["sum"], {}, None)
    return (0, -1, *NO_INTEGERS)


def required(layer):
    return {
        n: layer.given[n]
        for n in ("hidden_units", "units", "sess_max_count")
        if n in layer.arguments
    }


def test_positional_encoding_creates_the_layer():
    x = draw32("x", 2, 6, 5)
    options = {"pos_embedding_trainable": False, "scale": False}
    expected = to_numpy(PositionEncoding(**options)(x))
    symbol = keras.Input((6, 5))
    model = keras.Model(symbol, positional_encoding(symbol, **options))
    for got in (positional_encoding(x, **options), model(x)):
        np.testing.assert_array_equal(to_numpy(got), expected)
    for name in BY_CLASS["PositionEncoding"].arguments:
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            positional_encoding(x, **{name: object()})


@pytest.mark.parametrize(("layer", "name"), ARGUMENTS)
def test_invalid_values(layer, name):
    for value in (*wrong_values(name, layer.arguments[name]), object()):
        valid = *layer.arguments[name], layer.defaults[name]
        if any(value is v for v in valid if v is None or v is True):
            continue
        with pytest.raises(ValueError, match=f"^{name}: expected "):
            layer.cls(**required(layer) | {name: value})


@each(LAYERS, "layer")
def test_config_is_the_constructors_arguments(layer):
    given = layer.given
    created = layer.make(given, name="mine", dtype="mixed_bfloat16")
    for name, value in given.items():
        stored = getattr(created, name)
        if name == "supports_masking":
            stored = created.combines_masks
        if isinstance(value, tuple):
            stored = tuple(stored)
        if name.startswith("kernel_"):
            kinds = getattr(keras, name.removeprefix("kernel_") + "s")
            stored, value = type(stored), type(kinds.get(value))
        assert stored == value, name
    config = created.get_config()
    assert {*config} == {*given, "name", "trainable", "dtype"}
    text = json.dumps(config)
    again = layer.cls.from_config(json.loads(text))
    assert json.dumps(again.get_config()) == text
    assert again.name == "mine"
    assert again.dtype_policy.name == "mixed_bfloat16"
    stored = keras.saving.serialize_keras_object(created)
    loaded = keras.saving.deserialize_keras_object(stored)
    assert loaded.get_config() == config
    config = layer.make(required(layer)).get_config()
    for name, value in (layer.defaults | required(layer)).items():
        stored = config[name]
        stored = tuple(stored) if isinstance(stored, list) else stored
        assert stored == value, name


@each(LAYERS, "layer")
def test_config_of_a_users_subclass(layer):
    def init(self, extra=1, **kwargs):
        layer.cls.__init__(self, **kwargs)
        self.extra = extra

    subclass = type(f"My{layer.name}", (layer.cls,), {"__init__": init})
    config = subclass(extra=7, **layer.given).get_config()
    assert config["extra"] == 7
    assert {*config} == {*layer.given, "extra", "name", "trainable", "dtype"}
    assert subclass.from_config(config).get_config() == config


# Initial weights

CONSTANTS = {
    **dict.fromkeys(("gamma", "moving_variance", "gates_bias"), 1.0),
    **dict.fromkeys(("forward0_bias", "backward0_bias"), 1.0),
    **dict.fromkeys(("beta", "moving_mean", "alpha", "candidate_bias"), 0.0),
    "global_bias": 0.0,
}
DRAWN = [
    e for e in SOME if e.layer.arguments.keys() & {"seed", "kernel_initializer"}
]
KERNELS = [e for e in DRAWN if "kernel_initializer" in e.layer.arguments]
NAMES = ("query", "key", "value", "fw1", "fw2", "b", "v")


def initial(example, **options):
    return example.trial().built(seeded=False, **options)


def drawn(layer):
    weights = [w for w in layer.weights if w.name != "lookup_table"]
    arrays = [to_numpy(w.value) for w in weights]
    return [x for x in arrays if np.ptp(x) > 0]


def is_kernel(weight):
    is_named = "kernel" in weight.name or weight.name in NAMES
    return is_named and weight.shape and "recurrent" not in weight.name


@each(SOME)
def test_initial_biases_and_scales(example):
    for weight in initial(example).weights:
        for suffix, constant in CONSTANTS.items():
            if weight.path.endswith(suffix):
                value = to_numpy(weight.value)
                np.testing.assert_array_equal(value, constant, weight.path)


@each(DRAWN)
def test_two_layers_start_differently(example):
    seeds = [{}, {}]
    if "seed" in example.layer.arguments:
        seeds += [{"seed": 3}, {"seed": 3}, {"seed": 4}]
    one, other, *seeded = (drawn(initial(example, **s)) for s in seeds)
    assert one
    assert all(np.any(a != b) for a, b in zip(one, other, strict=True))
    for a, b, c in zip(*seeded, strict=True):
        np.testing.assert_array_equal(a, b)
        assert np.any(a != c)
        # Kernels of one shape in a layer differ too.
        assert sum(np.array_equal(a, x) for x in seeded[0]) == 1


@each(KERNELS)
def test_initializer_and_regularizer_reach_all_kernels(example):
    options = {"kernel_initializer": "ones", "kernel_regularizer": "l2"}
    layer = initial(example, **options)
    again = type(layer).from_config(layer.get_config())
    example.trial().run(again)
    for each_layer in (layer, again):
        kernels = [w for w in each_layer.weights if is_kernel(w)]
        assert len(kernels) > 1
        for weight in kernels:
            np.testing.assert_array_equal(to_numpy(weight.value), 1.0)
        assert len(each_layer.losses) == len(kernels)
        total = sum(float(to_numpy(loss)) for loss in each_layer.losses)
        size = sum(np.prod(w.shape) for w in kernels)
        np.testing.assert_allclose(total, 0.01 * size, rtol=1e-5)


@each(KERNELS)
def test_dropout_in_training_has_a_seed(example):
    if "dropout_rate" not in example.layer.arguments:
        pytest.skip("has no dropout")
    trial = example.trial()

    def trained(seed, training=True):
        layer = trial.built(dropout_rate=0.5, seed=seed)
        return trial.run(layer, training=training)[0]

    np.testing.assert_array_equal(trained(3), trained(3))
    assert np.any(trained(3) != trained(4))
    np.testing.assert_array_equal(trained(3, False), trained(4, False))


def test_l2_reg_and_dropout_rate():
    layer = DNN((64,), "linear", l2_reg=0.5, dropout_rate=0.25)
    x = np.ones((50, 3), "float32")
    dropped = to_numpy(layer(x, training=True))
    assert abs(np.mean(dropped == 0) - 0.25) < 0.03
    assert np.all(to_numpy(layer(x)) != 0)
    kernel = to_numpy(layer.kernels[0].value)
    (loss,) = layer.losses
    expected = 0.5 * np.sum(kernel**2)
    np.testing.assert_allclose(to_numpy(loss), expected, rtol=1e-5)


# Names

# `deepctr.layers.sequence` and `deepctr.layers.core`, 0.9.4.
DEEPCTR_SEQUENCE = {
    *("SequencePoolingLayer", "WeightedSequenceLayer", "KMaxPooling"),
    *("AttentionSequencePoolingLayer", "DynamicGRU", "BiLSTM", "BiasEncoding"),
    *("PositionEncoding", "positional_encoding", "Transformer"),
}
DEEPCTR_CORE = {"DNN", "LocalActivationUnit", "PredictionLayer", "Dice"}
# Two that keep float64, which Keras's do not, a function inside DIEN, and a
# table, which tests/layers/core/test_embedding.py compares with Keras's.
ADDED = {"BatchNormalization", "LayerNormalization", "AuxiliaryLoss"}
ADDED |= {"Embedding"}


def public(module):
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }


def test_public_names():
    sequence, core = public(kseq.layers.sequence), public(kseq.layers.core)
    assert sequence == DEEPCTR_SEQUENCE
    assert core == DEEPCTR_CORE | ADDED
    assert public(kseq.layers) == sequence | core


def test_catalog_has_every_layer_and_argument():
    assert {*BY_CLASS, "positional_encoding", "Embedding"} == public(
        kseq.layers
    )
    assert {e.layer.name for e in EXAMPLES} == {*BY_CLASS}
    for layer in LAYERS:
        assert layer.given.keys() == layer.defaults.keys()
        for name, value in layer.given.items():
            assert value != layer.defaults[name], (layer.name, name)


@each(LAYERS, "layer")
def test_layers_are_registered_under_kseq(layer):
    name = f"kseq>{layer.name}"
    assert keras.saving.get_registered_name(layer.cls) == name
    assert keras.saving.get_registered_object(name) is layer.cls
