"""Every dtype policy: finite, and as close to float32 as the dtype allows."""

from dataclasses import replace
from functools import partial

import keras
import numpy as np
import pytest

from kseq.agreement import probes
from kseq.agreement.computation import dtype_scope
from kseq.agreement.tables import tolerance
from kseq.layers.core import BatchNormalization
from kseq.layers.sequence import WeightedSequenceLayer
from tests.layers.catalog import BY_NAME, SOME
from tests.layers.models import everything, inputs_of, losses, trials, wide
from tests.support import assert_close, once, skip_left_out

BACKEND = keras.backend.backend()
HALF = ("float16", "bfloat16")
MIXED = ("mixed_float16", "mixed_bfloat16")
TRAINED = (
    "pooling-mean-lengths",
    "weighted-softmax-lengths",
    "attention-dice",
    "attention-softmax",
)


# Keras's NumPy backend has no sigmoid that is safe from overflow: 1/(1 + inf).
@pytest.mark.filterwarnings("ignore:overflow encountered in exp")
@pytest.mark.parametrize(
    "policy",
    [
        "mixed_bfloat16",
        # Their numbers and dtypes are compared in tests/agreement.
        *map(once, ("float64", "float16")),
    ],
)
def test_layers_follow_their_policy(policy):
    """Also where Keras's default is another one."""
    dtype = policy.removeprefix("mixed_")
    skip_left_out("forward", dtype)

    def changed(trial):
        return replace(trial, make=partial(trial.make, dtype=policy))

    with probes.float64():  # which JAX has to know
        model = everything(SOME, changed=changed)
        # JAX compiles the whole model faster than its operations.
        compute = model.predict_on_batch if BACKEND == "jax" else model
        outputs = compute(inputs_of(trials(SOME))) if policy in MIXED else {}
    limit = max(
        tolerance("forward", dtype).limit, tolerance("forward", "float32").limit
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
            if name not in outputs:
                continue
            assert keras.backend.standardize_dtype(outputs[name].dtype) == dtype
            output = wide(outputs[name])
            assert np.all(np.isfinite(output)), name
            error = np.abs(output - values[i]).max()
            assert error <= limit * np.abs(values[i]).max(), name


@pytest.mark.parametrize("policy", ["mixed_float16", once("mixed_bfloat16")])
def test_trains_in_mixed_precision(policy):
    skip_left_out("fit")
    examples = [BY_NAME[name] for name in TRAINED]
    with dtype_scope(policy):
        model = everything(examples)
        for loss in losses(model, [inputs_of(trials(examples))] * 2):
            assert np.all(np.isfinite([*loss.values()]))
        for weight in model.weights:
            assert weight.dtype == "float32"
            assert np.all(np.isfinite(wide(weight))), weight.path


@pytest.mark.parametrize("dtype", HALF)
def test_a_long_softmax_and_many_statistics(dtype):
    """A running sum of ones in float16 would stay at 2048."""
    skip_left_out("forward", dtype)
    ones = np.ones((1, 3000, 1), "float32")
    layer = WeightedSequenceLayer(dtype=dtype)
    out = wide(layer(ones, 0 * ones, lengths=np.array([3000])))
    assert_close(out, ones / 3000, dtype=dtype)
    x = np.tile([[104.0], [100.0]], (2, 1500, 1)).astype("float32")
    layer = BatchNormalization(momentum=0.0, dtype=f"mixed_{dtype}")
    layer(x, training=True)
    assert wide(layer.moving_mean).item() == 102.0
    assert_close(wide(layer.moving_variance), [4.0])
