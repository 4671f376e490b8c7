"""Every layer agrees with its float64 reference, and between backends."""

import keras
import pytest

from tests.layers.catalog import COMPUTATIONS, MAIN, SOME

SOME_NAMES = [e.name for e in SOME]
# The others differ from these by an option.
MAIN_NAMES = {e.name for e in MAIN}
# The other layers are parts of these.
TRAINED = (
    "pooling-mean-lengths",
    "weighted-softmax-lengths",
    "k-max-steps-lengths",
    "attention-dice-training",
    "gru-augru",
    "bilstm-ave",
    "transformer-positions",
    "layer-normalization-mask",
    "bias-encoding",
)


# Compiling takes minutes on PyTorch; on TensorFlow and JAX `fit` compiles all.
COMPILED = ("attention-dice-training", "gru-augru", "transformer-positions")


def agree(agreement, name, dtypes, kinds):
    agreement(COMPUTATIONS[name], dtypes=dtypes, kinds=kinds, finite=True)


@pytest.mark.parametrize("name", COMPUTATIONS)
def test_layer(name, agreement, request):
    """Float64 shows that the mathematics is the same."""
    if (
        keras.backend.backend() in ("jax", "openvino")
        and name not in SOME_NAMES
        and not request.config.getoption("--once")
    ):
        pytest.skip("the backend compiles each operation; --once runs it")
    dtypes = "float64 float32" if name in MAIN_NAMES else "float64"
    agree(agreement, name, dtypes, "forward gradients")


@pytest.mark.parametrize("name", TRAINED)
def test_half_precision(name, agreement):
    agree(agreement, name, "bfloat16 float16", "forward")


@pytest.mark.parametrize("name", COMPILED)
def test_compiled(name, agreement):
    kinds = "forward_compiled gradients_compiled"
    agree(agreement, name, "float32", kinds)


@pytest.mark.parametrize("name", TRAINED)
def test_training(name, agreement):
    agree(agreement, name, "float64", "fit")
