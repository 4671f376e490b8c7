"""Every layer agrees with its float64 reference, and between backends."""

import pytest

from tests.computations import COMPUTATIONS
from tests.layers.catalog import MAIN

# The others differ from these by an option.
MAIN_NAMES = {e.name for e in MAIN} | {n for n in COMPUTATIONS if "groups" in n}
# One of each layer is compiled and trained, which takes minutes on some
# backends. The other layers are parts of these.
TRAINED = {
    "pooling-mean-lengths",
    "weighted-softmax-lengths",
    "k-max-steps-lengths",
    "attention-dice-training",
    "gru-augru",
    "bilstm-ave",
    "transformer-positions",
    "layer-normalization-mask",
    "bias-encoding",
}
EAGER = "forward gradients"
COMPILED = "forward_compiled gradients_compiled"


@pytest.mark.parametrize("name", COMPUTATIONS)
def test_layer(name, agreement):
    computation = COMPUTATIONS[name]

    def agree(dtypes, kinds):
        agreement(computation, dtypes=dtypes, kinds=kinds, finite=True)

    # Float64 shows that the mathematics is the same.
    agree("float64 float32" if name in MAIN_NAMES else "float64", EAGER)
    if name in MAIN_NAMES:
        agree("bfloat16 float16", "forward")
    if name in TRAINED:
        agree("float32", COMPILED)
        if not name.endswith("-mask"):
            agree("float64 float32", "fit")
