"""Every dtype policy: finite, and as close to float32 as the dtype allows."""

from dataclasses import replace
from functools import partial

import keras
import numpy as np
import pytest

from kseq.agreement import probes
from kseq.agreement.measure import dtype_scope
from kseq.agreement.tables import tolerance
from kseq.layers.core import BatchNormalization
from kseq.layers.sequence import SequencePoolingLayer, WeightedSequenceLayer
from tests.layers.catalog import BY_NAME, SOME
from tests.layers.checks import assert_close, skip_left_out
from tests.layers.models import (
    everything,
    float32,
    inputs_of,
    losses,
    predict,
    trials,
    wide,
)

BACKEND = keras.backend.backend()
HALF = ("float16", "bfloat16")
MIXED = ("mixed_float16", "mixed_bfloat16")


# Keras's NumPy backend has no sigmoid that is safe from overflow: 1/(1 + inf).
@pytest.mark.filterwarnings("ignore:overflow encountered in exp")
@pytest.mark.parametrize("policy", ["float32", "float64", *HALF, *MIXED])
def test_layers_follow_their_policy(policy):
    """Also where Keras's default is another one."""
    dtype = policy.removeprefix("mixed_")
    skip_left_out("forward", dtype)

    def changed(trial):
        return replace(trial, make=partial(trial.make, dtype=policy))

    with probes.float64():  # which JAX has to know
        model = everything(SOME, changed=changed)
        outputs = model(inputs_of(trials(SOME)))
    limit = max(
        tolerance("forward", dtype).limit,
        tolerance("forward", "float32").limit,
    )
    expected = keras.DTypePolicy(policy)
    for example in SOME:
        layer = model.get_layer(f"{example.name}_layer")
        assert {w.dtype for w in layer.weights} <= {expected.variable_dtype}
        for sublayer in layer._flatten_layers():
            assert sublayer.dtype_policy.name == policy, example.name
        values = example.computed()[-1]
        for i in range(len(example.trial().outputs)):
            name = f"{example.name}-{i}"
            assert model.output[name].dtype == dtype, name
            assert keras.backend.standardize_dtype(outputs[name].dtype) == dtype
            output = wide(outputs[name])
            assert np.all(np.isfinite(output)), name
            error = np.abs(output - values[i]).max()
            assert error <= limit * np.abs(values[i]).max(), name


@pytest.mark.skipif(BACKEND != "openvino", reason="others compute in float32")
def test_predict_is_no_worse_than_bfloat16():
    """OpenVINO compiles float32 to bfloat16 where the CPU has it."""
    model = everything()
    inputs = inputs_of(trials())
    expected = predict(model, inputs)
    for name, output in model.predict(inputs, verbose=0).items():
        assert_close(output, expected[name], dtype="bfloat16", name=name)


@pytest.mark.parametrize("policy", MIXED)
def test_trains_in_mixed_precision(policy):
    skip_left_out("fit")
    names = ("pooling-mean-lengths", "weighted-softmax-lengths",
             "attention-dice", "attention-softmax")  # fmt: skip
    examples = [BY_NAME[name] for name in names]
    with dtype_scope(policy):
        model = everything(examples)
        for loss in losses(model, [inputs_of(trials(examples))] * 2):
            assert np.all(np.isfinite([*loss.values()]))
        for weight in model.weights:
            assert weight.dtype == "float32"
            assert np.all(np.isfinite(float32(weight))), weight.path


# Long histories and large scores in half precision.

each_half = pytest.mark.parametrize("dtype", HALF)
ONES = np.ones((1, 3000, 1), "float32")


@each_half
@pytest.mark.parametrize(("mode", "expected"), [("sum", 3000.0), ("mean", 1.0)])
def test_a_long_sum(mode, expected, dtype):
    """A running sum of ones in float16 would stay at 2048."""
    skip_left_out("forward", dtype)
    out = SequencePoolingLayer(mode, dtype=dtype)([ONES, np.array([3000])])
    assert_close(float32(out), [[[expected]]], dtype=dtype)


@each_half
def test_a_long_softmax(dtype):
    skip_left_out("forward", dtype)
    layer = WeightedSequenceLayer(dtype=dtype)
    out = float32(layer([ONES, np.array([3000]), 0 * ONES]))
    assert_close(out, ONES / 3000, dtype=dtype)


@each_half
def test_statistics_of_many_steps(dtype):
    skip_left_out("forward", dtype)
    x = np.tile([[104.0], [100.0]], (2, 1500, 1)).astype("float32")
    layer = BatchNormalization(momentum=0.0, dtype=f"mixed_{dtype}")
    layer(x, training=True)
    assert float32(layer.moving_mean).item() == 102.0
    assert_close(float32(layer.moving_variance), [4.0])


@pytest.mark.parametrize("dtype", ["float16", "mixed_float16"])
def test_large_scores_do_not_overflow(dtype):
    skip_left_out("forward", "float16")
    weights = np.array([[6e4, 6e4, -6e4], [-6e4, -6e4, 6e4]], "float32")
    layer = WeightedSequenceLayer(dtype=dtype)
    x = np.ones((2, 3, 1), "float32")
    out = float32(layer([x, np.array([3, 2]), weights]))
    np.testing.assert_array_equal(out[..., 0], [[0.5, 0.5, 0.0]] * 2)
