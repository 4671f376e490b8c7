"""Very large, very small and constant inputs match the float64 references.

The limits are in "How large numbers may be" of
docs/reliability/differences.md.
"""

import dataclasses

import keras
import numpy as np
import pytest

from kseq.agreement.measure import measure
from kseq.agreement.reference import references
from kseq.agreement.tables import tolerance
from tests.layers.catalog import COMPUTATIONS
from tests.support import assert_close, once, skip_left_out

# The largest factors of standard normal inputs for which intermediate results
# fit into float32 and float16. DIN multiplies query and key, batch statistics
# square; in float16, whose largest number is 65504, kernels are the limit.
LARGEST = {
    "pooling-mean-lengths": (1e30, 1.6e4),
    "pooling-max-mask": (1e30, 1.6e4),
    "weighted-softmax-lengths": (1e30, 1.6e4),
    "k-max-steps-lengths": (1e30, 1.6e4),
    "attention-sigmoid": (1e18, 1e3),
    "attention-softmax-split": (1e18, 50.0),
    "attention-dice-training": (1e9, 40.0),
    "dice-training-mask": (1e18, 1.6e4),
    "batch-normalization-training-mask": (1e18, 1.6e4),
    "gru-augru": (1e30, 1.6e4),
    "bilstm-ave": (1e30, 1.6e4),
    "transformer-layer-norm-mask": (1e30, 2e3),
    "transformer-cos": (1e30, 2e3),
    "transformer-ln": (1e30, 2e3),
    "transformer-additive": (1e30, 2e3),
    "positions-trained": (1e30, 1.6e4),
    "bias-encoding": (1e30, 1.6e4),
}
EVERYWHERE = (
    "attention-softmax-split",
    "dice-training-mask",
    "gru-augru",
    "transformer-ln",
)

# Their softmax is saturated: its gradient is 0, but the complex step of the
# reference finds rounding errors.
SATURATED = ("attention-softmax-split", "transformer-ln")
WITH_GRADIENTS = (
    "weighted-softmax-lengths",
    "batch-normalization-training-mask",
    *SATURATED,
)


def changed(name, features=None, scores=None):
    """Return a computation with a function applied to features or scores."""

    def apply(x):
        if not isinstance(x, np.ndarray) or x.dtype.kind != "f" or x.ndim < 3:
            return x
        function = scores if x.shape[-1] == 1 else features
        return x if function is None else function(x)

    computation = COMPUTATIONS[name]
    args = keras.tree.map_structure(apply, computation.args)
    return dataclasses.replace(computation, args=args, cache={})


def assert_matches_reference(
    computation, kind="forward", dtype="float32", scale=0.0, weight_scale=0.0
):
    """Compare with errors relative to the largest number, or to `scale`."""
    skip_left_out(kind, dtype)
    with np.errstate(all="ignore"):
        expected = references(computation, dtype, kind)
        results = measure(computation, dtype, kind).values
    for name, value in expected.items():
        unit = max(scale, weight_scale * name.startswith("weight"))
        assert_close(results[name], value, kind, dtype, name, unit)


@pytest.mark.parametrize("dtype", ["float32", once("float16")])
@pytest.mark.parametrize(
    "name", [n if n in EVERYWHERE else once(n) for n in LARGEST]
)
def test_largest_values(name, dtype):
    factor = LARGEST[name][dtype == "float16"]
    assert_matches_reference(changed(name, lambda x: x * factor), dtype=dtype)


@pytest.mark.once
@pytest.mark.parametrize("name", WITH_GRADIENTS)
def test_gradients_of_the_largest_values(name):
    factor = LARGEST[name][0]
    if name.startswith(("transformer-", "attention")):
        factor = min(factor, 1e15)
    case = changed(name, lambda x: x * factor)
    if name in SATURATED:
        skip_left_out("gradients")
        for gradient in measure(case, "float32", "gradients").values.values():
            assert np.all(np.isfinite(gradient))
    else:
        # Gradients of kernels are multiplied by the inputs.
        assert_matches_reference(
            case, "gradients", scale=1.0, weight_scale=factor
        )


@pytest.mark.parametrize("name", EVERYWHERE)
def test_denormals_are_kept_or_flushed_to_zero(name):
    case = changed(name, lambda x: x * 1e-40)
    smallest = float(np.finfo("float32").tiny)
    # Normalisation amplifies by up to 1e6: the root of its epsilon, 1e-12.
    scale = 1e6 * smallest / tolerance("forward", "float32").limit
    assert_matches_reference(case, scale=scale)


@pytest.mark.once
@pytest.mark.parametrize("kind", ["forward", "gradients"])
@pytest.mark.parametrize("factor", [-1e4, 1e30])
def test_scores_far_apart(kind, factor):
    case = changed("weighted-softmax-lengths", scores=lambda x: x * factor)
    assert_matches_reference(case, kind, scale=1.0)
