"""The constructors' arguments: stored, validated, and in the config."""

import json

import keras
import numpy as np
import pytest

from kseq.layers import (
    DNN,
    AttentionSequencePoolingLayer,
    BiLSTM,
    Dice,
    Transformer,
    positional_encoding,
)
from tests.arrays import to_numpy
from tests.layers.catalog import BY_CLASS, LAYERS, MAIN, draw32, each

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
        return (
            "other",
            "",
            1,
            True,
            ["sum"],
            {},
            *[None] * (None not in values),
        )
    return (0, -1, *NO_INTEGERS)


def required(layer):
    return {
        n: layer.given[n]
        for n in ("hidden_units", "units", "sess_max_count")
        if n in layer.arguments
    }


def test_positional_encoding_has_the_arguments_of_the_layer():
    layer = BY_CLASS["PositionEncoding"]
    x = draw32("x", 2, 6, 5)
    options = {"pos_embedding_trainable": False, "scale": False}
    expected = to_numpy(layer.cls(**options)(x))
    got = to_numpy(positional_encoding(x, **options))
    np.testing.assert_array_equal(got, expected)
    symbol = keras.Input((None, 5))
    with pytest.raises(ValueError, match=r"^max_steps: expected"):
        positional_encoding(symbol)
    for name in layer.arguments:
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            positional_encoding(x, **{name: object()})


@pytest.mark.once
@pytest.mark.parametrize(("layer", "name"), ARGUMENTS)
def test_invalid_values(layer, name):
    for value in (*wrong_values(name, layer.arguments[name]), object()):
        if value is None and layer.defaults[name] is None:
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


@each(LAYERS, "layer")
def test_config_of_defaults(layer):
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
    created = subclass(extra=7, **layer.given)
    config = created.get_config()
    assert config["extra"] == 7
    assert {*config} == {*layer.given, "extra", "name", "trainable", "dtype"}
    again = subclass.from_config(config)
    assert again.extra == 7
    assert again.get_config() == config


def test_numpy_integers_are_stored_as_integers():
    layer = Transformer(np.int64(2), np.int32(2), max_steps=np.int64(9))
    json.dumps(layer.get_config())


@each(LAYERS, "layer")
def test_unknown_arguments(layer):
    with pytest.raises((TypeError, ValueError), match="bogus"):
        layer.cls(**required(layer), bogus=1)


@each()
def test_unknown_call_arguments(example):
    trial = example.trial()
    with pytest.raises(TypeError, match="bogus"):
        trial.make()(trial.inputs, **trial.kwargs, bogus=1)


@keras.saving.register_keras_serializable(package="kseq tests")
def doubled(x):
    return 2.0 * x


@keras.saving.register_keras_serializable(package="kseq tests")
class Shifted(keras.layers.Layer):
    """An activation with an argument and a weight."""

    def __init__(self, by=1.0, **kwargs):
        super().__init__(**kwargs)
        self.by = by

    def build(self, input_shape):
        self.slope = self.add_weight(shape=(), initializer="ones")

    def call(self, inputs):
        return self.slope * inputs + self.by

    def get_config(self):
        return {**super().get_config(), "by": self.by}


@pytest.mark.parametrize(
    ("activation", "weights"),
    [
        pytest.param(doubled, 0, id="function"),
        pytest.param(keras.activations.gelu, 0, id="keras-function"),
        pytest.param(Shifted, 1, id="class"),
        pytest.param(Shifted(by=3.0), 1, id="layer"),
        pytest.param(keras.layers.PReLU, 1, id="keras-class"),
        pytest.param(Dice(epsilon=0.5), 3, id="dice-layer"),
    ],
)
def test_custom_activations_survive_config_and_file(activation, weights):
    layer = AttentionSequencePoolingLayer((4, 2), activation)
    inputs = [draw32("q", 2, 2, 3), draw32("k", 2, 5, 3), np.array([5, 1])]
    expected = to_numpy(layer(inputs))
    # One activation, kernel and bias for each hidden layer; the scorer's.
    assert len(layer.weights) == 2 * weights + 6
    config = json.loads(json.dumps(layer.get_config()))
    again = AttentionSequencePoolingLayer.from_config(config)
    again(inputs)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(to_numpy(again(inputs)), expected)


# Initial weights

CONSTANTS = {
    "gamma": 1.0,
    "moving_variance": 1.0,
    "beta": 0.0,
    "moving_mean": 0.0,
    "alpha": 0.0,
    "gates_bias": 1.0,
    "forward0_bias": 1.0,
    "backward0_bias": 1.0,
    "candidate_bias": 0.0,
    "global_bias": 0.0,
}
# One of each layer, with random initial weights.
DRAWN = [
    *{
        e.layer.name: e
        for e in MAIN
        if e.layer.name
        not in ("Dice", "BatchNormalization", "LayerNormalization",
                "PositionEncoding", "PredictionLayer")
        and e.trial().make().__class__.build is not keras.layers.Layer.build
    }.values()
]  # fmt: skip
KERNELS = [e for e in DRAWN if "kernel_initializer" in e.layer.arguments]


def initial(example, **options):
    layer = example.trial().make(**options)
    example.trial().run(layer)
    return layer


def is_kernel(weight):
    return weight.shape and (
        "kernel" in weight.name
        or weight.name in ("query", "key", "value", "fw1", "fw2", "b", "v")
    ) and "recurrent" not in weight.name  # fmt: skip


@each()
def test_initial_biases_and_scales(example):
    for weight in initial(example).weights:
        for suffix, constant in CONSTANTS.items():
            if weight.name.endswith(suffix):
                value = to_numpy(weight.value)
                np.testing.assert_array_equal(value, constant, weight.path)


@each(DRAWN)
def test_two_layers_start_differently(example):
    def drawn(layer):
        return [
            to_numpy(w.value)
            for w in layer.weights
            if np.ptp(to_numpy(w.value)) > 0
        ]

    first, second = (drawn(initial(example)) for _ in range(2))
    assert first
    for a, b in zip(first, second, strict=True):
        assert np.any(a != b)
    if "seed" in example.layer.arguments:
        first, second, other = (
            drawn(initial(example, seed=seed)) for seed in (3, 3, 4)
        )
        for a, b, c in zip(first, second, other, strict=True):
            np.testing.assert_array_equal(a, b)
            assert np.any(a != c)
        for i, a in enumerate(first):  # kernels of one shape
            for b in first[i + 1 :]:
                assert a.shape != b.shape or np.any(a != b)


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


def test_an_initializer_without_seed_draws_each_kernel():
    initializer = keras.initializers.HeNormal()
    layer = BiLSTM(3, layers=1, kernel_initializer=initializer)
    layer.build((2, 5, 3))
    forward, backward = (
        to_numpy(w.value) for w in layer.weights if is_kernel(w)
    )
    assert np.any(forward != backward)


def test_l2_reg_and_dropout_in_training():
    layer = DNN((64,), "linear", l2_reg=0.5, dropout_rate=0.5)
    x = np.ones((2, 3), "float32")
    dropped = to_numpy(layer(x, training=True))
    assert 0 < np.mean(dropped == 0) < 1
    assert np.all(to_numpy(layer(x)) != 0)
    kernel = to_numpy(layer.kernels[0].value)
    (loss,) = layer.losses
    expected = 0.5 * np.sum(kernel**2)
    np.testing.assert_allclose(to_numpy(loss), expected, rtol=1e-5)
