"""Numbers near the ends of what a dtype holds, and numbers that are all alike.

Values and gradients are held against the float64 references. What lies outside
is documented: docs/reliability/differences.md, "How large numbers may be".
"""

import dataclasses

import keras
import numpy as np
import pytest

from kseq.agreement.measure import measure, reference_values
from kseq.agreement.record import to_numpy
from kseq.agreement.tables import tolerance
from tests.cases import CASES
from tests.layers.checks import skip_left_out

BY_NAME = {case.name: case for case in CASES}

# The largest factor of normal numbers under which float32 holds what the layer
# needs on its way: DIN's products of query and key, and variances of a batch.
LARGEST = {
    "pooling-sum-lengths": 1e30,
    "pooling-mean-lengths": 1e30,
    "pooling-max-mask": 1e30,
    "weighted-softmax-lengths": 1e30,
    "weighted-plain-mask-flat": 1e30,
    "k-max-steps-lengths": 1e30,
    "k-max-dim-mask": 1e30,
    "attention-sigmoid": 1e18,
    "attention-softmax-split": 1e18,
    "attention-dice-training": 1e9,  # the variance of those products
    "dice-inference-mask": 1e30,
    "dice-training-mask": 1e18,
    "batch-normalization-training-mask": 1e18,
    "gru-plain": 1e30,
    "gru-augru": 1e30,
    "gru-augru-paper": 1e30,
    "bilstm-ave": 1e30,
    "transformer-mean": 1e30,
    "transformer-layer-norm-mask": 1e30,
    "transformer-cos": 1e30,
    "transformer-ln": 1e30,
    "transformer-additive": 1e30,
    "attention-groups-scaled_dot_product": 1e30,
    "positions-trained": 1e30,
    "bias-encoding": 1e30,
}

# Of float16, whose largest number is 65504. Where it is less a product with a
# kernel would be larger.
LARGEST_HALF = dict.fromkeys(LARGEST, 1.6e4) | {
    "attention-sigmoid": 1e3,
    "attention-softmax-split": 50.0,
    "attention-dice-training": 50.0,
    "transformer-mean": 2e3,
    "transformer-layer-norm-mask": 2e3,
    "transformer-cos": 2e3,
    "transformer-ln": 2e3,
    "transformer-additive": 2e3,
}

# A rounding of values is multiplied by the inputs, in kernels' gradients.
LARGEST_IN_GRADIENTS = LARGEST | {
    name: 1e15 for name in LARGEST if name.startswith(("transformer-", "att"))
}

# Layers with a softmax that has decided: it has no gradient any more.
DECIDED = ("attention-s", "transformer-", "attention-groups")

# The least normal float32. Below it TensorFlow, XLA and OpenVINO have 0 ...
LEAST = float(np.finfo("float32").tiny)
# ... which an epsilon of 1e-12 under a root makes as many times larger.
MOST_GAIN = 1e6


def changed(name, features=None, scores=None):
    """A case of which the features, or the scores, are made others."""

    def other(x):
        if not isinstance(x, np.ndarray) or x.dtype.kind != "f" or x.ndim < 3:
            return x
        change = scores if x.shape[-1] == 1 else features
        return x if change is None else change(x)

    def build():
        layer, inputs, *rest = case.build()
        return layer, keras.tree.map_structure(other, inputs), *rest

    case = BY_NAME[name]
    return dataclasses.replace(case, build=build)


def times(factor):
    return lambda x: x * factor


def pairs(case, kind="forward", dtype="float32"):
    """What the backend and the reference give, by name."""
    skip_left_out(kind, dtype)
    with np.errstate(all="ignore"):  # of the reference, and of NumPy's backend
        expected = reference_values(case, dtype, kind)
        got = measure(case, dtype, kind)
    assert got.keys() == expected.keys()
    return {n: (to_numpy(got[n]), np.asarray(expected[n])) for n in got}


def assert_near(got, expected, kind, dtype, unit=0.0, message=""):
    unit = max(unit, np.abs(expected).max(initial=0))
    assert np.all(np.isfinite(got)), message
    distance = np.abs(got.astype("float64") - expected).max(initial=0)
    assert distance <= tolerance(kind, dtype).limit * unit, message


@pytest.mark.parametrize("name", LARGEST)
@pytest.mark.parametrize("size", ["largest", 1e4, 1e-30])
def test_values_of_any_size(name, size):
    if name == "transformer-cos" and size == 1e-30:
        pytest.skip("below 1e-6 vectors have no direction, as in DeepCTR")
    factor = LARGEST[name] if size == "largest" else size
    factor = min(factor, LARGEST[name])
    found = pairs(changed(name, times(factor)))
    for output, (got, expected) in found.items():
        assert_near(got, expected, "forward", "float32", message=output)


@pytest.mark.parametrize("name", LARGEST)
def test_values_near_the_largest_half(name):
    found = pairs(changed(name, times(LARGEST_HALF[name])), dtype="float16")
    for output, (got, expected) in found.items():
        assert_near(got, expected, "forward", "float16", message=output)


@pytest.mark.parametrize("name", LARGEST)
def test_gradients_at_the_largest_size(name):
    factor = min(LARGEST[name], LARGEST_IN_GRADIENTS[name])
    case = changed(name, times(factor))
    if name.startswith(DECIDED):
        # What the reference finds is its own complex step, times 1e60.
        case = dataclasses.replace(case, reference=None)
        skip_left_out("gradients")
        for of, got in measure(case, "float32", "gradients").items():
            assert np.all(np.isfinite(to_numpy(got))), of
        return
    for of, (got, expected) in pairs(case, "gradients").items():
        # The inputs are also a kernel's gradient's factors.
        unit = max(1.0, factor if of.startswith("weight") else 0.0)
        assert_near(got, expected, "gradients", "float32", unit, of)


@pytest.mark.parametrize("kind", ["forward", "gradients"])
@pytest.mark.parametrize("factor", [1e4, -1e4, 1e30])
def test_scores_far_apart(kind, factor):
    case = changed("weighted-softmax-lengths", scores=times(factor))
    for of, (got, expected) in pairs(case, kind).items():
        assert_near(got, expected, kind, "float32", 1.0, of)


@pytest.mark.parametrize("kind", ["forward", "gradients"])
@pytest.mark.parametrize(
    "name", ["gru-agru", "gru-augru", "gru-augru-mask", "gru-augru-paper"]
)
def test_scores_beyond_zero_and_one(kind, name):
    def beyond(scores):
        return 6.0 * scores - 3.0

    found = pairs(changed(name, scores=beyond), kind)
    for of, (got, expected) in found.items():
        assert_near(got, expected, kind, "float32", message=of)


@pytest.mark.parametrize("value", [0.1, 12345.678, 1.1e30])
@pytest.mark.parametrize(
    "name",
    [
        "pooling-mean-lengths",
        "dice-training-mask",
        "batch-normalization-training-mask",
        "transformer-layer-norm-mask",
        "transformer-ln",
        "gru-plain",
    ],
)
def test_numbers_that_are_all_alike(name, value):
    case = changed(name, lambda x: np.full_like(x, value))
    for output, (got, expected) in pairs(case).items():
        assert_near(got, expected, "forward", "float32", 1.0, output)


@pytest.mark.parametrize("name", LARGEST)
def test_denormals_are_themselves_or_zero(name):
    for of, (got, expected) in pairs(changed(name, times(1e-40))).items():
        unit = np.abs(expected).max(initial=0)
        limit = tolerance("forward", "float32").limit * unit
        distance = np.abs(got.astype("float64") - expected).max(initial=0)
        assert distance <= max(limit, MOST_GAIN * LEAST), of


@pytest.mark.parametrize(
    "name",
    [
        "pooling-mean-lengths",
        "weighted-softmax-lengths",
        "attention-dice-training",
        "batch-normalization-training-mask",
        "gru-augru",
        "transformer-layer-norm-mask",
    ],
)
def test_gradients_at_denormals(name):
    found = pairs(changed(name, times(1e-40)), "gradients")
    for of, (got, expected) in found.items():
        assert_near(got, expected, "gradients", "float32", 1.0, of)
