"""Layers in Keras's kinds of models and wrappers, and in users' layers."""

import importlib
from contextlib import nullcontext

import keras
import numpy as np
import pytest
from keras import ops

from kseq.agreement.numbers import seed_weights
from kseq.layers import (
    DNN,
    AuxiliaryLoss,
    BatchNormalization,
    BiLSTM,
    DynamicGRU,
    Embedding,
    KMaxPooling,
    PositionEncoding,
    PredictionLayer,
    SequencePoolingLayer,
    Transformer,
)
from tests.layers.catalog import BY_NAME, MAIN, SOME, each
from tests.layers.models import everything, inputs_of, losses, predict, trials
from tests.layers.trial import arrays_of
from tests.support import (
    assert_all_close,
    assert_close,
    once,
    skip_left_out,
    to_numpy,
)

BACKEND = keras.backend.backend()
ANY_STEPS = [e for e in SOME if e.trial().any_steps]
# For what compiles each layer by itself.
FEW = ("attention-softmax", "gru-augru", "transformer-positions")
FEW = [BY_NAME[name] for name in (*FEW, "bias-encoding", "weighted-plain-mask")]
OPENVINO_LOOPS = ("DynamicGRU", "BiLSTM")
SHORT = 3


@pytest.fixture(autouse=True)
def arbitrary_numbers():
    """Keras's NumPy backend traces layers with uninitialized numbers."""
    with np.errstate(all="ignore"):
        yield


@pytest.fixture(scope="module")
def any_steps():
    with np.errstate(all="ignore"):
        return everything(ANY_STEPS, named=True)


def apply(layer, tensors):
    """Call a layer with a dictionary of named tensors, or with a list."""
    return layer(**tensors) if isinstance(tensors, dict) else layer(tensors)


@keras.saving.register_keras_serializable(package="tests")
class Wrapper(keras.layers.Layer):
    """A user's layer without compute_output_shape."""

    def __init__(self, layer, remat=False):
        super().__init__()
        self.layer = layer
        self.remat = remat

    def call(self, tensors):
        def compute(*flat):
            given = keras.tree.pack_sequence_as(tensors, [*flat])
            if isinstance(self.layer, Wrapper):
                return self.layer(given)
            return apply(self.layer, given)

        flat = keras.tree.flatten(tensors)
        return (keras.remat(compute) if self.remat else compute)(*flat)


@keras.saving.register_keras_serializable(package="tests")
class Subclassed(keras.Model):
    def __init__(self, layer):
        super().__init__()
        self.wrapper = Wrapper(layer)

    def call(self, tensors):
        return self.wrapper(tensors)


def tensors_of(trial):
    """The tensors of a call, by name or as a list."""
    named = trial.named(not trial.lengths, bool(trial.lengths))
    tensors = trial.inputs if trial.is_list else named
    return keras.tree.map_structure(ops.convert_to_tensor, tensors)


@each(ANY_STEPS)
def test_inside_users_layers(example):
    if BACKEND == "openvino" and example.layer.name in OPENVINO_LOOPS:
        pytest.skip("OpenVINO cannot trace loops over unknown steps")
    trial, layer, expected = example.computed()
    wrapper = Wrapper(Wrapper(layer))
    model = trial.model(
        lambda: lambda *inputs, **named: wrapper(named or inputs[0]), named=True
    )
    got = model([*trial.model_inputs().values()])
    assert_all_close(arrays_of(got), expected)
    for output, value in zip(model.outputs, expected, strict=True):
        pairs = zip(output.shape, value.shape, strict=True)
        assert all(a in (None, b) for a, b in pairs)
    got = Subclassed(layer)(tensors_of(trial))
    assert_all_close(arrays_of(got), expected)


def in_remat_scope(trial):
    with keras.RematScope():
        return trial.built()


@each(FEW)
@pytest.mark.parametrize("scope", [False, True])
def test_under_remat(example, scope):
    """Except a loss inside keras.remat, which JAX rejects."""
    skip_left_out("gradients")
    trial, layer, expected = example.computed()
    if scope:
        got = apply(in_remat_scope(trial), tensors_of(trial))
    else:
        got = Wrapper(layer, remat=True)(tensors_of(trial))
    assert_all_close(arrays_of(got), expected)


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("transformer-layer-norm-mask", {"use_causal_mask": True}),
        ("attention-sigmoid", {"return_attention_scores": True}),
        ("dice-inference-mask", {"training": True}),
    ],
)
def test_options_of_calls_in_a_remat_scope(name, option):
    """JAX would trace bools."""
    skip_left_out("gradients")
    trial = BY_NAME[name].trial()
    got = trial.run(in_remat_scope(trial), **option)
    expected = trial.run(trial.built(), **option)
    assert_all_close(got, expected)


def test_states_and_losses_in_a_remat_scope():
    """States change once, and losses have gradients, also with a mask."""
    skip_left_out("fit")
    ids = np.array([[1, 2, 3, 0], [4, 5, 0, 0]])

    def train(scope):
        keras.utils.set_random_seed(0)
        with scope:
            layers = [
                Embedding(6, 4, embeddings_regularizer="l2", mask_zero=True),
                BatchNormalization(),
                DNN((4,), "tanh", dropout_rate=0.5),
                DynamicGRU(4),
            ]
            auxiliary = AuxiliaryLoss(alpha=9.0)
        x = symbol = keras.Input((4,), dtype="int32")
        for layer in layers:
            x = layer(x)
        model = keras.Model(symbol, auxiliary(x, x, -x))
        seed_weights(model)
        model.compile("sgd", "mse")
        found = [model.train_on_batch(ids, np.ones((2, 4, 4))) for _ in "ab"]
        return np.array(found), *map(to_numpy, model.weights)

    for got, expected in zip(
        train(keras.RematScope()), train(nullcontext()), strict=True
    ):
        assert_close(got, expected, "fit")


@pytest.mark.once
def test_sequential_models():
    """Masks are propagated from layer to layer."""
    ids = np.array([[1, 2, 3, 0, 0], [4, 0, 0, 0, 0], [3, 2, 1, 5, 6]])
    embedding = keras.layers.Embedding(7, 4, mask_zero=True)
    sequence_layers = [
        PositionEncoding(),
        BiLSTM(2, merge_mode="concat"),
        Transformer(2, 2, output_type=None),
        DynamicGRU(4),
        KMaxPooling(2, axis=2),
        SequencePoolingLayer("mean"),
    ]
    others = [DNN((3,)), keras.layers.Flatten(), PredictionLayer("regression")]
    layers = [embedding, *sequence_layers, *others]
    model = keras.Sequential([keras.Input((5,), dtype="int32"), *layers])
    seed_weights(model)
    expected = embedding(ids)
    for layer in sequence_layers:
        expected = layer(expected, mask=ids > 0)
    for layer in others:
        expected = layer(expected)
    assert_close(to_numpy(model(ids)), to_numpy(expected))


ONE_TENSOR = (
    "pooling-max-mask",
    "k-max-dim-mask",
    "gru-plain",
    "bilstm-ave",
    "positions-trained",
    "transformer-layer-norm-mask",
)


@pytest.mark.once
@each([BY_NAME[name] for name in ONE_TENSOR])
def test_time_distributed(example):
    trial = example.trial(masks=True)
    layer = trial.built()
    name, x = next(iter(trial.features.items()))
    mask = trial.valid[trial.sequences[name]]
    wrapper = keras.layers.TimeDistributed(layer)
    symbols = [
        keras.Input((2, *x.shape[1:])),
        keras.Input((2, *mask.shape[1:]), dtype="bool"),
    ]
    model = keras.Model(symbols, wrapper(symbols[0], mask=symbols[1]))
    given = [np.stack([a, a[::-1]], axis=1) for a in (x, mask)]
    got = to_numpy(model(given))
    expected = to_numpy(layer(x, mask=mask))
    assert_close(got, np.stack([expected, expected[::-1]], axis=1))


@pytest.mark.parametrize("steps", [once("own"), None])
def test_shapes_of_functional_models(steps, any_steps):
    examples = ANY_STEPS if steps is None else MAIN
    model = any_steps if steps is None else everything(examples, steps)
    values = model(inputs_of(trials(examples)))
    for example in examples:
        expected = example.computed()[-1]
        for i, at in enumerate(example.trial().outputs):
            name = f"{example.name}-{i}"
            assert_close(to_numpy(values[name]), expected[i], name=name)
            shape = [None, *expected[i].shape[1:]]
            if at and steps is None:
                shape[at[0]] = None
            assert model.output[name].shape == tuple(shape), name


@pytest.mark.once
@each(SOME)
def test_frozen_layers_do_not_change(example):
    trial = example.trial()
    frozen = trial.built()
    frozen.trainable = False
    before = frozen.get_weights()
    trial.run(frozen, training=True)
    keras.tree.map_structure(
        np.testing.assert_array_equal, frozen.get_weights(), before
    )


def test_any_number_of_steps(any_steps):
    """One model, in `predict`, for histories of several lengths."""
    usual = trials(ANY_STEPS)
    longer = {
        n: t.longer(2, np.nan if t.inert else 7.0) for n, t in usual.items()
    }
    cut = {n: t.cut(SHORT) for n, t in usual.items()}
    got_longer = predict(any_steps, inputs_of(longer))
    got_cut = predict(any_steps, inputs_of(cut))
    for example in ANY_STEPS:
        name, layer = example.name, any_steps.get_layer(f"{example.name}_layer")
        trial, changed = usual[name], longer[name]
        got = [got_longer[f"{name}-{i}"] for i in range(len(trial.outputs))]
        expected = (trial if trial.inert else changed).run(layer)
        assert_all_close(trial.shown(got), trial.shown(expected), name=name)
        for output, at in zip(got, trial.outputs, strict=True):
            if at and example.layer.empty_is_zero and not trial.own_padding:
                padded = ~changed.valid[at[1]]
                assert at[0] != 1 or np.all(output[padded] == 0), name
        changed = cut[name]
        got = [got_cut[f"{name}-{i}"] for i in range(len(trial.outputs))]
        # Padding has no effect: the same steps of longer arrays.
        expected = trial.limited(SHORT) if trial.inert else changed
        expected = changed.shown(expected.run(layer))
        assert_all_close(changed.shown(got), expected, name=name)


@pytest.mark.skipif(
    BACKEND == "jax", reason="compiles each shape, as in tests/agreement"
)
def test_trains_with_any_number_of_steps():
    """On TensorFlow in one graph, and in another of XLA with equal losses."""
    skip_left_out("fit")
    examples = [*{e.name: e for e in [*ANY_STEPS, *FEW]}.values()]
    examples = FEW if BACKEND == "tensorflow" else examples
    usual = trials(examples)
    cut = {n: t.cut(SHORT) for n, t in usual.items()}
    batches = [inputs_of(cut), inputs_of(usual)]
    xla = BACKEND == "tensorflow"  # which compiles each shape
    jit_compile = False if xla else "auto"
    found = losses(everything(examples), batches, jit_compile)
    assert all(np.all(np.isfinite([*loss.values()])) for loss in found)
    if xla:
        batch = inputs_of({e.name: cut[e.name] for e in FEW[:3]})
        (compiled,) = losses(everything(FEW[:3]), [batch], True)
        del compiled["loss"]
        for name, value in compiled.items():
            assert_close(value, found[0][name], "fit", name=name)


@pytest.mark.skipif(BACKEND != "torch", reason="transforms of PyTorch")
# PyTorch imports what it deprecates.
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@each([e for e in SOME if not e.layer.measured])
def test_transforms_of_torch_func(example):
    """Jacobians, forward and reverse, which need vmap."""
    torch = importlib.import_module("torch")
    trial = example.trial()
    layer = trial.built()
    tensors = tensors_of(trial)
    first = next(iter(tensors)) if isinstance(tensors, dict) else 0
    x = tensors[first]

    def total(x):  # of each output feature
        given = tensors.copy()
        given[first] = x
        output = keras.tree.flatten(apply(layer, given))[0]
        return output.reshape(-1, output.shape[-1]).sum(0)

    expected = torch.autograd.functional.jacobian(total, x).numpy()
    assert np.any(expected != 0)
    for transform in (torch.func.jacrev, torch.func.jacfwd):
        got = transform(total)(x).detach().numpy()
        assert_close(got, expected, "gradients")
