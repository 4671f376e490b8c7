"""Layers in functional models, users' layers, subclassed models and remat."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.arrays import to_numpy
from tests.layers.catalog import MAIN, each
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
ANY_STEPS = [e for e in MAIN if e.trial().any_steps]
OPENVINO_LOOPS = ("DynamicGRU", "BiLSTM")


@pytest.fixture(autouse=True)
def arbitrary_numbers():
    """Keras's NumPy backend traces layers with uninitialized numbers."""
    with np.errstate(all="ignore"):
        yield


def by_names(layer, trial, tensors):
    """Call a layer with tensors in the order of `model_inputs`."""
    if trial.is_list:
        return layer(list(tensors))
    given = dict(zip(arguments(trial), tensors, strict=True))
    return layer(**given, **trial.call)


def arguments(trial):
    masks = not trial.lengths
    return [n for n in trial.named(masks, not masks) if n not in trial.call]


def arrays(trial):
    if trial.is_list:
        return list(trial.features.values())
    masks = not trial.lengths
    named = trial.named(masks, not masks)
    return [named[n] for n in arguments(trial)]


@keras.saving.register_keras_serializable(package="tests")
class Wrapper(keras.layers.Layer):
    """A user's layer without compute_output_shape."""

    def __init__(self, layer, trial, remat=False):
        super().__init__()
        self.layer = layer
        self.trial = [trial]  # not tracked
        self.remat = remat

    def call(self, tensors):
        def compute(*tensors):
            if isinstance(self.layer, Wrapper):
                return self.layer(list(tensors))
            return by_names(self.layer, self.trial[0], tensors)

        return (keras.remat(compute) if self.remat else compute)(*tensors)


@keras.saving.register_keras_serializable(package="tests")
class Subclassed(keras.Model):
    def __init__(self, layer, trial):
        super().__init__()
        self.wrapper = Wrapper(layer, trial)

    def call(self, tensors):
        return self.wrapper(tensors)


def symbols_of(trial, steps):
    padded = {*trial.sequences}
    symbols = []
    names = list(trial.features) if trial.is_list else arguments(trial)
    for name, x in zip(names, arrays(trial), strict=True):
        shape = list(x.shape[1:])
        if shape and (name in padded or "mask" in name):
            shape[0] = steps
        symbols.append(keras.Input(shape, dtype=x.dtype.name))
    return symbols


@each(ANY_STEPS)
def test_inside_users_layers(example):
    if BACKEND == "openvino" and example.layer.name in OPENVINO_LOOPS:
        pytest.skip("OpenVINO cannot trace loops over unknown steps")
    trial = example.trial(measured=True)
    layer = trial.built()
    expected = trial.run(layer)
    wrapper = Wrapper(Wrapper(layer, trial), trial)
    symbols = symbols_of(trial, None)
    outputs = wrapper(symbols)
    model = keras.Model(symbols, keras.tree.flatten(outputs))
    assert_all_close(arrays_of(model(arrays(trial))), expected)
    for output, value in zip(model.outputs, expected, strict=True):
        pairs = zip(output.shape, value.shape, strict=True)
        assert all(a in (None, b) for a, b in pairs)
    subclassed = Subclassed(layer, trial)
    assert_all_close(arrays_of(subclassed(arrays(trial))), expected)


@each()
def test_named_call_in_a_functional_model(example):
    """With known and with unknown steps."""
    trial = example.trial(measured=True)
    layer = trial.built()
    expected = trial.run(layer)
    for steps in ("known", None) if trial.any_steps else ("known",):
        symbols = symbols_of(trial, steps and next(iter(
            trial.features.values())).shape[1])  # fmt: skip
        if steps:
            symbols = [
                keras.Input(x.shape[1:], dtype=x.dtype.name)
                for x in arrays(trial)
            ]
        outputs = by_names(layer, trial, symbols)
        model = keras.Model(symbols, keras.tree.flatten(outputs))
        assert_all_close(arrays_of(model(arrays(trial))), expected)
        claimed = keras.tree.flatten(outputs)
        for output, value, at in zip(
            claimed, expected, trial.outputs, strict=True
        ):
            shape = [None, *value.shape[1:]] if value.ndim > 1 else [1]
            if at and not steps:
                shape[at[0]] = None
            assert output.shape == tuple(shape) or example.layer.measured


@each()
def test_under_remat(example):
    skip_left_out("gradients")
    trial = example.trial()
    layer = trial.built()
    expected = trial.run(layer)
    wrapper = Wrapper(layer, trial, remat=True)
    tensors = [ops.convert_to_tensor(x) for x in arrays(trial)]
    if example.layer.measured:
        pytest.skip("a loss inside keras.remat is lost, as Keras documents")
    assert_all_close(arrays_of(wrapper(tensors)), expected)


@each([e for e in MAIN if len(e.trial().features) == 1])
def test_sequential(example):
    trial = example.trial(masks=True)
    layer = trial.built()
    x = trial.filled(0.0).features
    (x,) = x.values()
    first = [keras.layers.Masking()] if trial.masks else []
    model = keras.Sequential([*first, layer])
    expected = trial.filled(0.0).run(layer)
    assert_all_close(arrays_of(model(x)), expected)


@each()
def test_stateless_call_and_inference_equal_call(example):
    trial = example.trial()
    layer = trial.built()
    expected = trial.run(layer)
    outputs, state = layer.stateless_call(
        [v.value for v in layer.trainable_variables],
        [v.value for v in layer.non_trainable_variables],
        trial.inputs,
        **trial.kwargs,
    )
    assert_all_close(arrays_of(outputs), expected)
    assert len(state) == len(layer.non_trainable_variables)
    assert_all_close(trial.run(layer, training=False), expected)


@each()
def test_weights_are_created_once(example):
    trial = example.trial()
    layer = trial.built(name="name")
    paths = [w.path for w in layer.weights]
    assert len({*paths}) == len(paths)
    trial.run(layer)
    assert [w.path for w in layer.weights] == paths
    called = trial.make(name="name")
    trial.run(called)
    assert [w.path for w in called.weights] == paths
    assert [w.shape for w in called.weights] == [w.shape for w in layer.weights]
    layer.trainable = False
    assert layer.trainable_weights == []
    before = layer.get_weights()
    trial.run(layer, training=True)
    for old, new in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


SHORT = 3


def test_any_number_of_steps():
    """One model, in `predict`, for histories of several lengths."""
    model = everything(ANY_STEPS)
    for change in (
        lambda t: t,
        lambda t: t.longer(2, np.nan if t.inert else 7.0),
        lambda t: t.cut(SHORT),
    ):
        changed = {n: change(t) for n, t in trials(ANY_STEPS).items()}
        got = predict(model, inputs_of(changed))
        for name, trial in changed.items():
            layer = model.get_layer(f"{name}_layer")
            expected = trial.run(layer)
            outputs = [got[f"{name}-{i}"] for i in range(len(expected))]
            assert_all_close(
                trial.shown(outputs), trial.shown(expected), name=name
            )


def test_trains_with_any_number_of_steps():
    skip_left_out("fit")
    batches = [
        inputs_of(trials(ANY_STEPS)),
        inputs_of({n: t.cut(SHORT) for n, t in trials(ANY_STEPS).items()}),
    ]
    for loss in losses(everything(ANY_STEPS), batches):
        assert np.all(np.isfinite([*loss.values()]))


@pytest.mark.skipif(
    BACKEND not in ("tensorflow", "jax"), reason="jit_compile=True is XLA's"
)
def test_trains_under_xla():
    batches = [inputs_of(trials(ANY_STEPS))]
    compiled = losses(everything(ANY_STEPS), batches, jit_compile=True)
    usual = losses(everything(ANY_STEPS), batches, jit_compile=False)
    for name, value in compiled[0].items():
        assert_close(value, usual[0][name], "fit", name=name)


def test_clone_and_summary():
    model = everything()
    inputs = inputs_of(trials())
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    expected = model(inputs)
    for name, output in clone(inputs).items():
        np.testing.assert_array_equal(
            to_numpy(output), to_numpy(expected[name]), name
        )
    lines = []
    model.summary(
        print_fn=lambda line, line_break=None: lines.append(line),
        line_length=200,
    )
    assert all(f"{e.name}_layer" in "\n".join(lines) for e in MAIN)


@pytest.mark.skipif(
    BACKEND != "tensorflow", reason="only TensorFlow writes a SavedModel"
)
def test_saved_model_serves_any_number_of_steps(tmp_path):
    names = ("weighted-softmax-lengths", "attention-dice", "gru-plain")
    examples = [e for e in MAIN if e.name in names]
    model = everything(examples)
    model.export(tmp_path / "model", verbose=False)
    served = keras.layers.TFSMLayer(tmp_path / "model", call_endpoint="serve")
    for change in (lambda t: t, lambda t: t.cut(SHORT)):
        inputs = inputs_of({n: change(t) for n, t in trials(examples).items()})
        expected = predict(model, inputs)
        outputs = served([ops.convert_to_tensor(x) for x in inputs])
        for name, got in outputs.items():
            assert_close(to_numpy(got), expected[name], name=name)
