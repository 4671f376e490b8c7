"""Every dtype policy: finite, and as close to float32 as the dtype allows."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from kseq.agreement import probes
from kseq.agreement.measure import dtype_scope
from kseq.agreement.tables import tolerance
from kseq.layers.core import BatchNormalization
from kseq.layers.sequence import (
    SequencePoolingLayer,
    WeightedSequenceLayer,
)
from tests.layers.catalog import BY_NAME, MAIN, each
from tests.layers.checks import assert_close, skip_left_out
from tests.layers.models import (
    everything,
    float32,
    inputs_of,
    losses,
    predict,
    trials,
)

POLICIES = (
    "float32",
    "float64",
    "float16",
    "bfloat16",
    "mixed_float16",
    "mixed_bfloat16",
)


def with_dtype(dtype):
    dtype = keras.config.floatx() if dtype == "float64" else "float32"
    return lambda trial: replace(trial, dtype=dtype)


@pytest.fixture(scope="module")
def expected():
    return predict(everything(), inputs_of(trials()))


# Keras's NumPy backend has no sigmoid that is safe from overflow: 1/(1 + inf).
@pytest.mark.filterwarnings("ignore:overflow encountered in exp")
@pytest.mark.parametrize("policy", POLICIES[1:])
def test_outputs_are_close_to_float32(policy, expected):
    dtype = policy.removeprefix("mixed_")
    skip_left_out("forward", dtype)
    with dtype_scope(policy):
        model = everything(changed=with_dtype(dtype))
        for output in model.output.values():
            assert output.dtype == dtype
        given = [
            x.astype(keras.config.floatx()) if x.dtype.kind == "f" else x
            for x in inputs_of(trials())
        ]
        got = predict(model, given)
    limit = max(
        tolerance("forward", dtype).limit,
        tolerance("forward", "float32").limit,
    )
    for name, output in got.items():
        assert np.all(np.isfinite(output)), name
        scale = np.abs(expected[name]).max()
        error = np.abs(output - expected[name]).max()
        assert error <= limit * scale, name


def test_predict_is_no_worse_than_bfloat16(expected):
    """OpenVINO compiles float32 to bfloat16 where the CPU has it."""
    model = everything()
    inputs = inputs_of(trials())
    for name, output in model.predict(inputs, verbose=0).items():
        assert_close(output, expected[name], dtype="bfloat16", name=name)


@pytest.mark.parametrize("policy", POLICIES)
@each(MAIN)
def test_dtypes_follow_the_policy(example, policy):
    # The layer's policy, not Keras's default: JAX only has to know 64 bits.
    trial = example.trial()
    with probes.float64():
        layer = trial.built(dtype=policy)
    expected = keras.DTypePolicy(policy)
    named = trial.features | (trial.lengths or {})
    if not trial.lengths:
        named = trial.named(masks=True)
    symbols = {
        n: keras.Input(batch_shape=x.shape, dtype=x.dtype.name)
        for n, x in named.items()
    }
    with probes.float64():
        if trial.is_list:
            outputs = layer([*symbols.values()])
        else:
            outputs = layer(**symbols)
    for output in keras.tree.flatten(outputs):
        assert output.dtype == expected.compute_dtype
    assert {w.dtype for w in layer.weights} <= {expected.variable_dtype}
    for sublayer in layer._flatten_layers():
        assert sublayer.dtype_policy.name == policy


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_trains_in_mixed_precision(policy):
    skip_left_out("fit")
    with dtype_scope(policy):
        names = ("pooling-mean-lengths", "weighted-softmax-lengths")
        names = (*names, "attention-dice", "attention-softmax")
        examples = [BY_NAME[name] for name in names]
        model = everything(examples)
        found = losses(model, [inputs_of(trials(examples))] * 2)
        for loss in found:
            for name, value in loss.items():
                assert np.isfinite(value), name
        for weight in model.weights:
            assert weight.dtype == "float32"
            assert np.all(np.isfinite(float32(weight))), weight.path


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_a_long_sum_keeps_its_digits(mode, dtype):
    """A running sum of ones in float16 would stay at 2048."""
    skip_left_out("forward", dtype)
    x = np.ones((1, 3000, 1), "float32")
    out = SequencePoolingLayer(mode, dtype=dtype)([x, np.array([3000])])
    want = 3000.0 if mode == "sum" else 1.0
    limit = tolerance("forward", dtype).limit
    assert abs(float32(out).item() - want) <= limit * want


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_long_softmax_keeps_its_digits(dtype):
    skip_left_out("forward", dtype)
    x = np.ones((1, 3000, 1), "float32")
    weights = np.zeros((1, 3000), "float32")
    layer = WeightedSequenceLayer(dtype=dtype)
    out = float32(layer([x, np.array([3000]), weights]))
    limit = tolerance("forward", dtype).limit
    np.testing.assert_allclose(out, 1 / 3000, rtol=limit)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_statistics_of_many_steps_keep_their_digits(dtype):
    skip_left_out("forward", dtype.removeprefix("mixed_"))
    x = np.full((2, 3000, 1), 100.0, "float32")
    x[:, ::2] = 104.0
    layer = BatchNormalization(momentum=0.0, dtype=dtype)
    layer(x, training=True)
    assert float32(layer.moving_mean).item() == 102.0
    np.testing.assert_allclose(
        float32(layer.moving_variance).item(), 4.0, rtol=1e-5
    )


@pytest.mark.parametrize("dtype", ["float16", "mixed_float16"])
def test_large_scores_do_not_overflow(dtype):
    skip_left_out("forward", "float16")
    x = np.ones((2, 3, 1), "float32")
    weights = np.array([[6e4, 6e4, -6e4], [-6e4, -6e4, 6e4]], "float32")
    layer = WeightedSequenceLayer(dtype=dtype)
    out = float32(layer([x, np.array([3, 2]), weights]))
    expected = [[0.5, 0.5, 0.0], [0.5, 0.5, 0.0]]
    np.testing.assert_array_equal(out[..., 0], expected)
