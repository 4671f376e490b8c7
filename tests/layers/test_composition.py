"""Layers in functional models, users' layers, subclassed models and remat."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.arrays import to_numpy
from tests.layers.catalog import MAIN, SOME, each
from tests.layers.checks import assert_all_close, assert_close, skip_left_out
from tests.layers.models import (
    everything,
    inputs_of,
    losses,
    predict,
    trials,
)
from tests.layers.trial import arrays_of

BACKEND = keras.backend.backend()
ANY_STEPS = [e for e in SOME if e.trial().any_steps]
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


@each([e for e in SOME if not e.layer.measured])
def test_under_remat(example):
    """Except a loss inside keras.remat, which is lost, as Keras documents."""
    skip_left_out("gradients")
    trial, layer, expected = example.computed()
    got = Wrapper(layer, remat=True)(tensors_of(trial))
    assert_all_close(arrays_of(got), expected)


@pytest.mark.parametrize("steps", ["own", None])
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


@each(SOME)
def test_frozen_layers_and_stateless_calls(example):
    trial, layer, expected = example.computed()
    outputs, state = layer.stateless_call(
        [v.value for v in layer.trainable_variables],
        [v.value for v in layer.non_trainable_variables],
        trial.inputs,
        **trial.kwargs,
    )
    assert_all_close(arrays_of(outputs), expected)
    assert len(state) == len(layer.non_trainable_variables)
    frozen = trial.built()
    frozen.trainable = False
    before = frozen.get_weights()
    trial.run(frozen, training=True)
    keras.tree.map_structure(
        np.testing.assert_array_equal, frozen.get_weights(), before
    )


@pytest.mark.once
@each(SOME)
def test_weights_are_created_once(example):
    trial = example.trial()
    layer = trial.built(name="name")
    paths = [(w.path, w.shape) for w in layer.weights]
    assert len({*paths}) == len(paths)
    trial.run(layer)
    called = trial.make(name="name")
    trial.run(called)
    for each_layer in (layer, called):
        assert [(w.path, w.shape) for w in each_layer.weights] == paths


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


def test_trains_with_any_number_of_steps():
    """On TensorFlow in one graph, and in another of XLA with equal losses."""
    skip_left_out("fit")
    usual = trials(ANY_STEPS)
    batches = [inputs_of({n: t.cut(SHORT) for n, t in usual.items()})]
    if BACKEND != "jax":  # which compiles each shape anyway
        batches.append(inputs_of(usual))
    xla = BACKEND == "tensorflow"  # which compiles each shape
    jit_compile = False if xla else "auto"
    found = losses(everything(ANY_STEPS), batches, jit_compile)
    assert all(np.all(np.isfinite([*loss.values()])) for loss in found)
    if xla:
        (compiled,) = losses(everything(ANY_STEPS), batches[:1], True)
        for name, value in compiled.items():
            assert_close(value, found[0][name], "fit", name=name)


def test_clone(any_steps):
    inputs = inputs_of(trials(ANY_STEPS))
    clone = keras.models.clone_model(any_steps)
    clone.set_weights(any_steps.get_weights())
    expected = any_steps(inputs)
    for name, output in clone(inputs).items():
        np.testing.assert_array_equal(
            to_numpy(output), to_numpy(expected[name]), name
        )
