"""The layers behave as Keras's own: shapes, weights, configs, models."""

import inspect
import json

import keras
import numpy as np
import pytest
from keras import ops

from kseq.layers.core import (
    DNN,
    BatchNormalization,
    Dice,
    LayerNormalization,
    LocalActivationUnit,
)
from kseq.layers.sequence import (
    AttentionSequencePoolingLayer,
    BiasEncoding,
    BiLSTM,
    DynamicGRU,
    KMaxPooling,
    PositionEncoding,
    SequencePoolingLayer,
    Transformer,
    WeightedSequenceLayer,
)
from tests.arrays import to_numpy
from tests.layers.checks import assert_close
from tests.layers.examples import (
    ARRAYS,
    DIM,
    EXAMPLES,
    LENGTHS,
    PADDED,
    PREFIX,
    STEPS,
    draw,
    everything,
    model_inputs,
    names,
)

each = pytest.mark.parametrize("example", EXAMPLES, ids=names(EXAMPLES))
WITH_WEIGHTS = [e for e in EXAMPLES if e.built().weights]
each_with_weights = pytest.mark.parametrize(
    "example", WITH_WEIGHTS, ids=names(WITH_WEIGHTS)
)
ALONE = [e for e in EXAMPLES if len(e.features) == 1]


def shapes_of(inputs):
    return keras.tree.map_structure(np.shape, inputs)


# Shapes


@each
def test_the_output_shape_is_known_before_build(example):
    layer = example.make()
    inputs = example.inputs()
    claimed = layer.compute_output_shape(shapes_of(inputs))
    assert not layer.built
    assert claimed == example.call(layer).shape


@each
def test_the_output_shape_says_what_is_unknown(example):
    """Batch and steps unknown, as far as the inputs' are."""
    known = example.make().compute_output_shape(shapes_of(example.inputs()))
    unknown = {
        name: (None, None if name in PADDED else x.shape[1], *x.shape[2:])
        for name, x in ARRAYS.items()
    }
    claimed = example.make().compute_output_shape(
        example.inputs(unknown, lengths=(None,))
    )
    expected = [None, *known[1:]]
    if example.steps_at is not None:
        expected[example.steps_at] = None
    assert claimed == tuple(expected)


@pytest.mark.parametrize("candidates", [1, 2, 3])
@pytest.mark.parametrize("return_score", [False, True])
def test_the_output_shape_of_candidates(candidates, return_score):
    layer = AttentionSequencePoolingLayer((4,), return_score=return_score)
    inputs = [draw(4, candidates, DIM), ARRAYS["x"], LENGTHS]
    expected = (4, candidates, STEPS if return_score else DIM)
    assert layer.compute_output_shape(shapes_of(inputs)) == expected
    assert layer(inputs).shape == expected


@pytest.mark.parametrize("candidates", [1, 3])
@pytest.mark.parametrize("return_score", [False, True])
@pytest.mark.parametrize("steps", [STEPS, None])
def test_the_output_spec_of_output_and_scores(candidates, return_score, steps):
    layer = AttentionSequencePoolingLayer((4,), return_score=return_score)
    symbols = [
        keras.Input((candidates, DIM)),
        keras.Input((steps, DIM)),
        keras.Input((1,), dtype="int32"),
    ]
    pooled, scores = layer(symbols, return_attention_scores=True)
    assert pooled.shape == (None, candidates, DIM)
    assert scores.shape == (None, candidates, steps)
    inputs = [draw(4, candidates, DIM), ARRAYS["x"], LENGTHS[:, None]]
    model = keras.Model(symbols, [pooled, scores])
    for got, expected in zip(
        model(inputs),
        layer(inputs, return_attention_scores=True),
        strict=True,
    ):
        assert_close(to_numpy(got), to_numpy(expected))


@pytest.mark.parametrize("axis", [1, 2, 3, -1, -2, -3])
@pytest.mark.parametrize("told", [False, True])
def test_the_output_shape_of_k_max_on_any_axis(axis, told):
    x = draw(4, 5, 3, 6)
    layer = KMaxPooling(2, axis)
    inputs = [x, LENGTHS] if told else x
    claimed = layer.compute_output_shape(shapes_of(inputs))
    assert claimed == layer(inputs).shape
    assert claimed[axis] == 2


@pytest.mark.parametrize("flat", [False, True])
def test_the_output_shape_of_weights_of_either_rank(flat):
    weights = ARRAYS["weights"] if flat else ARRAYS["weights"][..., None]
    layer = WeightedSequenceLayer()
    inputs = [ARRAYS["x"], LENGTHS, weights]
    assert layer.compute_output_shape(shapes_of(inputs)) == layer(inputs).shape


# Weights


@each
def test_build_makes_every_weight(example):
    layer = example.make()
    layer.build(shapes_of(example.inputs()))
    assert layer.built
    before = [w.path for w in layer.weights]
    example.call(layer)
    example.call(layer, lengths=LENGTHS[::-1].copy())
    assert [w.path for w in layer.weights] == before
    called = example.make()
    example.call(called)
    assert [w.shape for w in called.weights] == [w.shape for w in layer.weights]


@each_with_weights
def test_a_layer_called_twice_shares_its_weights(example):
    inputs = example.inputs()
    symbols = keras.tree.map_structure(
        lambda x: keras.Input(x.shape[1:], dtype=x.dtype.name), inputs
    )
    told = {}
    masks = []
    if not example.lengths_at:
        masks = [keras.Input((STEPS,), dtype="bool")]
        told = {"mask": example.mask(masks[0])}
    layer = example.make()
    outputs = [layer(symbols, **told), layer(symbols, **told)]
    model = keras.Model([symbols, *masks], outputs)
    assert len(model.weights) == len(layer.weights) > 0


@each_with_weights
def test_weight_paths_do_not_depend_on_what_was_made_before(example):
    first, second = (example.built(name="mine") for _ in range(2))
    paths = [w.path for w in first.weights]
    assert [w.path for w in second.weights] == paths
    assert len(set(paths)) == len(paths)


@each_with_weights
def test_a_frozen_layer_trains_nothing(example):
    layer = example.built()
    layer.trainable = False
    assert layer.trainable_weights == []
    assert len(layer.non_trainable_weights) == len(layer.weights)
    before = [to_numpy(w.value) for w in layer.weights]
    layer(example.inputs(), training=True, **example.options())
    for weight, value in zip(layer.weights, before, strict=True):
        np.testing.assert_array_equal(to_numpy(weight.value), value)


@each
def test_stateless_call_is_call(example):
    layer = example.built()
    expected = example.call(layer)
    outputs, others = layer.stateless_call(
        [v.value for v in layer.trainable_variables],
        [v.value for v in layer.non_trainable_variables],
        example.inputs(),
        **example.options(),
    )
    np.testing.assert_array_equal(to_numpy(outputs), expected)
    assert len(others) == len(layer.non_trainable_variables)


@pytest.mark.parametrize(
    "make",
    [
        lambda: LocalActivationUnit((4,), "dice", dropout_rate=0.5),
        lambda: AttentionSequencePoolingLayer((4,), "dice"),
    ],
)
def test_stateless_call_gives_the_new_state_and_keeps_the_old(make):
    layer = make()
    inputs = [ARRAYS["query"], ARRAYS["x"]]
    layer.build(shapes_of(inputs))
    others = [to_numpy(v.value) for v in layer.non_trainable_variables]
    _, new = layer.stateless_call(
        [v.value for v in layer.trainable_variables],
        [v.value for v in layer.non_trainable_variables],
        inputs,
        mask=[None, PREFIX],
        training=True,
    )
    now = [to_numpy(v.value) for v in layer.non_trainable_variables]
    for before, after in zip(others, now, strict=True):
        np.testing.assert_array_equal(after, before)
    assert all(
        np.any(to_numpy(n) != o) for n, o in zip(new, others, strict=True)
    )


# Configs


def own_arguments(layer):
    parameters = inspect.signature(type(layer).__init__).parameters
    return [n for n in parameters if n not in ("self", "kwargs")]


@each
def test_a_config_holds_every_argument_and_comes_back_equal(example):
    layer = example.make(name="mine", dtype="mixed_bfloat16")
    config = layer.get_config()
    assert set(own_arguments(layer)) - set(config) == set()
    assert config["name"] == "mine"
    again = type(layer).from_config(json.loads(json.dumps(config)))
    assert again.get_config() == type(layer).from_config(config).get_config()
    assert json.dumps(again.get_config()) == json.dumps(config)
    assert again.name == "mine"
    assert again.dtype_policy.name == "mixed_bfloat16"
    # Asking again changes nothing.
    assert layer.get_config() == config


ARGUMENTS = [
    (SequencePoolingLayer, {"mode": "max", "supports_masking": True}),
    (
        WeightedSequenceLayer,
        {"weight_normalization": False, "supports_masking": True},
    ),
    (KMaxPooling, {"k": 3, "axis": -1}),
    (
        AttentionSequencePoolingLayer,
        {
            "att_hidden_units": (5, 3),
            "att_activation": "tanh",
            "weight_normalization": True,
            "return_score": True,
            "supports_masking": True,
        },
    ),
    (
        LocalActivationUnit,
        {
            "hidden_units": (5, 3),
            "activation": "dice",
            "l2_reg": 0.25,
            "dropout_rate": 0.5,
            "use_bn": True,
            "seed": 7,
        },
    ),
    (
        DNN,
        {
            "hidden_units": (5, 3),
            "activation": "tanh",
            "l2_reg": 0.25,
            "dropout_rate": 0.5,
            "use_bn": True,
            "output_activation": "dice",
            "seed": None,
        },
    ),
    (Dice, {"axis": 1, "epsilon": 0.5}),
    (LayerNormalization, {"epsilon": 0.5}),
    (
        DynamicGRU,
        {
            "num_units": 5,
            "gru_type": "AUGRU",
            "return_sequence": False,
            "return_state": True,
            "augru_form": "paper",
        },
    ),
    (
        BiLSTM,
        {
            "units": 5,
            "layers": 3,
            "res_layers": 1,
            "dropout_rate": 0.5,
            "merge_mode": None,
            "seed": 7,
        },
    ),
    (
        Transformer,
        {
            "att_embedding_size": 3,
            "head_num": 2,
            "dropout_rate": 0.5,
            "use_positional_encoding": False,
            "use_res": False,
            "use_feed_forward": False,
            "use_layer_norm": True,
            "blinding": False,
            "seed": None,
            "supports_masking": True,
            "attention_type": "additive",
            "output_type": None,
            "max_steps": 9,
        },
    ),
    (
        PositionEncoding,
        {
            "pos_embedding_trainable": False,
            "zero_pad": True,
            "scale": False,
            "max_steps": 9,
        },
    ),
    (BiasEncoding, {"sess_max_count": 3, "seed": 7, "max_steps": 9}),
    (
        BatchNormalization,
        {
            "axis": 1,
            "momentum": 0.5,
            "epsilon": 0.25,
            "center": False,
            "scale": False,
        },
    ),
]


@pytest.mark.parametrize(
    ("cls", "arguments"), ARGUMENTS, ids=lambda v: getattr(v, "__name__", "")
)
def test_arguments_other_than_the_defaults_come_back(cls, arguments):
    layer = cls(**arguments)
    assert set(own_arguments(layer)) == set(arguments)
    config = layer.get_config()
    assert {name: config[name] for name in arguments} == arguments
    again = cls.from_config(config).get_config()
    assert {name: again[name] for name in arguments} == arguments


def test_every_class_is_among_the_arguments():
    classes = {type(example.make()) for example in EXAMPLES}
    assert classes | {BiasEncoding} == {cls for cls, _ in ARGUMENTS}


@keras.saving.register_keras_serializable(package="kseq tests")
def doubled(x):
    return 2.0 * x


@keras.saving.register_keras_serializable(package="kseq tests")
class Shifted(keras.layers.Layer):
    """An activation with an argument and a weight of its own."""

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
        pytest.param(
            keras.layers.LeakyReLU(negative_slope=0.5), 0, id="keras-layer"
        ),
        pytest.param(Dice, 3, id="dice-class"),
        pytest.param(Dice(epsilon=0.5), 3, id="dice-layer"),
    ],
)
def test_activations_of_one_s_own_come_back(activation, weights):
    layer = AttentionSequencePoolingLayer((4, 2), activation)
    inputs = [ARRAYS["query"], ARRAYS["x"], LENGTHS]
    expected = to_numpy(layer(inputs))
    # Two hidden layers, each with its own; and two kernels and biases, and the
    # last sum's.
    assert len(layer.weights) == 2 * weights + 6
    config = json.loads(json.dumps(layer.get_config()))
    again = AttentionSequencePoolingLayer.from_config(config)
    again.build(shapes_of(inputs))
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(to_numpy(again(inputs)), expected)


def test_a_config_asked_for_twice_is_the_same():
    layer = AttentionSequencePoolingLayer((4, 2), Shifted)
    assert layer.get_config() == layer.get_config()


# Models


@pytest.mark.parametrize("example", ALONE, ids=names(ALONE))
def test_sequential(example):
    layer = example.built(example.masking)
    x = np.where(PREFIX[..., None], ARRAYS["x"], np.float32(0))
    model = keras.Sequential([keras.layers.Masking(), layer])
    got = to_numpy(model(x))
    expected = example.shown(example.call(layer, ARRAYS | {"x": x}))
    assert_close(example.shown(got), expected)
    shape = (None, *expected.shape[1:])
    assert model.compute_output_shape((None, *x.shape[1:])) == shape


class Subclassed(keras.Model):
    def __init__(self, layer, options):
        super().__init__()
        self.layer = layer
        self.options = options

    def call(self, inputs):
        return self.layer(inputs, **self.options)


@each
def test_subclassed(example):
    layer = example.make()
    model = Subclassed(layer, example.options())
    inputs = example.inputs()
    got = to_numpy(model(inputs))
    np.testing.assert_array_equal(got, example.call(layer))
    assert [w.path for w in model.weights] == [w.path for w in layer.weights]


def test_functional_and_its_clone():
    model = everything()
    inputs = model_inputs(model)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    expected = model(inputs)
    for name, output in clone(inputs).items():
        np.testing.assert_array_equal(
            to_numpy(output), to_numpy(expected[name]), err_msg=name
        )


def test_summary_prints_every_layer():
    lines = []
    everything().summary(
        print_fn=lambda line, line_break=None: lines.append(line),
        line_length=200,
    )
    printed = "\n".join(lines)
    for example in EXAMPLES:
        assert f"{example.name}_layer" in printed


@each
def test_a_layer_s_work_is_the_same_in_inference_and_by_default(example):
    layer = example.built()
    got = layer(example.inputs(), **example.options(), training=False)
    np.testing.assert_array_equal(to_numpy(got), example.call(layer))


def test_dropout_and_penalty_reach_training():
    layer = DNN((64,), "linear", l2_reg=0.5, dropout_rate=0.5)
    x = ops.ones((2, 3))
    dropped = to_numpy(layer(x, training=True))
    assert 0 < np.mean(dropped == 0) < 1
    assert np.all(to_numpy(layer(x)) != 0)
    kernel = to_numpy(layer.kernels[0].value)
    (loss,) = layer.losses
    assert_close(to_numpy(loss), 0.5 * np.sum(kernel**2))
