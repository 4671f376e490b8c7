"""Where backends differ: as docs/reliability/differences.md has it.

A test here that fails says that a backend has changed: then the page, and what
kseq does about it, want another look.
"""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from kseq.agreement import probes
from kseq.ops import k_max, l2_normalize, masked_max
from tests.arrays import to_numpy
from tests.layers.checks import skip_left_out
from tests.ops.compute import BACKEND, gradient

# There, an id beyond a table ends the process.
pytestmark = pytest.mark.skipif(
    probes.device() != "cpu", reason="a GPU differs again"
)

PAGE = Path(__file__).parents[2] / "docs" / "reliability" / "differences.md"
NAN, INF = float("nan"), float("inf")
ERROR = "error"
DENORMAL = 9.99994610111476e-41  # 1e-40, as float32 has it

# Keras's errors, and those of the backends beneath, have no common ancestor.
ERRORS = Exception


def tensor(x, dtype="float32"):
    return ops.convert_to_tensor(np.array(x), dtype)


def integers(x):
    return tensor(x, "int32")


def alike(others, **different):
    """What backends give: those named another thing than the others."""
    backends = ("tensorflow", "torch", "jax", "numpy", "openvino")
    return dict.fromkeys(backends, others) | different


def embedding(index):
    layer = keras.layers.Embedding(3, 1)
    layer.build()
    layer.set_weights([np.array([[1.0], [2.0], [3.0]])])
    return layer(integers([index]))


def sign_of_zero(x):
    """1 or -1 for each 0."""
    return ops.sign(1.0 / x)


VALUES = {
    "id beyond the table": (
        lambda: embedding(3),
        alike(ERROR, jax=[[NAN]], openvino=[[0.0]]),
    ),
    "id of -1": (lambda: embedding(-1), alike([[3.0]])),
    "first of equal numbers": (
        lambda: ops.top_k(tensor([[2.0, 2, 2, 2, 2]]), 1)[1],
        alike([[0]], torch=[[2]], numpy=[[4]]),
    ),
    "NaN among the k largest": (
        lambda: ops.top_k(tensor([[1.0, NAN, 3]]), 3)[0],
        alike(
            [[NAN, 3.0, 1.0]],
            tensorflow=[[3.0, 1.0, NAN]],
            openvino=[[3.0, 1.0, NAN]],
        ),
    ),
    "NaN in a maximum": (
        lambda: ops.amax(tensor([1.0, NAN, 3])),
        alike(NAN, openvino=3.0),
    ),
    "NaN sorted": (
        lambda: ops.sort(tensor([NAN, 1.0, 3, 2])),
        alike(
            [1.0, 2.0, 3.0, NAN],
            tensorflow=[NAN, 1.0, 2.0, 3.0],
            openvino=[NAN, 1.0, 2.0, 3.0],
        ),
    ),
    "maximum of -infinity": (
        lambda: ops.amax(tensor([-INF, -INF])),
        alike(-INF, openvino=float(np.finfo("float32").min)),
    ),
    "integer divided by 0": (
        lambda: ops.floor_divide(integers([1, -1]), integers([0, 0])),
        alike(ERROR, jax=[-2, -2], numpy=[0, 0]),
    ),
    "NaN and infinity as integers": (
        lambda: ops.cast(tensor([NAN, INF]), "int32"),
        alike([-(2**31)] * 2, jax=[0, 2**31 - 1]),
    ),
    "integers of 64 bits": (
        lambda: ops.convert_to_tensor(np.array([2**33 + 1])),
        alike([2**33 + 1], jax=[1], numpy=[1]),
    ),
    "-0.0 and relu": (
        lambda: sign_of_zero(ops.relu(tensor([-0.0]))),
        alike([-1.0], jax=[1.0], numpy=[1.0]),
    ),
    "a denormal times 1": (
        lambda: tensor([1e-40]) * 1.0,
        alike([0.0], torch=[DENORMAL], numpy=[DENORMAL]),
    ),
    "maximum over no rows": (
        lambda: ops.amax(ops.zeros((0, 2)), axis=0),
        alike(ERROR, openvino=[float(np.finfo("float32").min)] * 2),
    ),
    "mean over no rows": (
        lambda: ops.mean(ops.zeros((0, 2)), axis=0),
        alike([NAN, NAN], openvino=[0.0, 0.0]),
    ),
    "one_hot of what is beyond": (
        lambda: ops.one_hot(integers([3]), 3),
        alike([[0.0, 0.0, 0.0]], torch=ERROR, numpy=ERROR),
    ),
}

GRADIENTS = {
    "gradient of a norm at 0": (
        lambda x: ops.norm(x, axis=-1),
        [[0.0, 0.0]],
        alike([[NAN, NAN]], torch=[[0.0, 0.0]]),
    ),
    "gradient of l2_normalize at 0": (
        l2_normalize,
        [[0.0, 0.0]],
        alike([[1e6, 1e6]]),
    ),
    "gradient of relu at 0": (ops.relu, [0.0], alike([0.0])),
    "gradient of leaky_relu at 0": (
        lambda x: ops.leaky_relu(x, 0.25),
        [0.0],
        alike([0.25], jax=[1.0]),
    ),
    "gradient of abs at 0": (ops.abs, [0.0], alike([0.0], jax=[1.0])),
    "gradient of maximum at ties": (
        lambda x: ops.maximum(x, 0.0),
        [0.0],
        alike([0.5], tensorflow=[1.0]),
    ),
    "gradient of clip at its ends": (
        lambda x: ops.clip(x, -1.0, 1.0),
        [-1.0, 1.0],
        alike([1.0, 1.0], jax=[0.5, 0.5]),
    ),
    "gradient of a root that where hides": (
        lambda x: ops.where(x > 0, ops.sqrt(x), 0.0),
        [-1.0, 4.0],
        alike([NAN, 0.25], tensorflow=[0.0, 0.25]),
    ),
    "gradient of masked_max at ties": (
        lambda x: masked_max(x, np.ones((1, 3), bool)),
        [[[2.0], [2.0], [1.0]]],
        alike([[[0.5], [0.5], [0.0]]]),
    ),
    "gradient of k_max at ties": (
        lambda x: k_max(x, 1),
        [[[2.0]] * 5],
        alike(
            [[[1.0], [0.0], [0.0], [0.0], [0.0]]],
            torch=[[[0.0], [0.0], [1.0], [0.0], [0.0]]],
        ),
    ),
}


def text(result):
    """As NaN is equal to NaN."""
    return repr(result)


@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")  # NumPy's own
@pytest.mark.parametrize("name", VALUES)
def test_values(name):
    compute, expected = VALUES[name]
    try:
        got = to_numpy(compute()).tolist()
    except ERRORS:
        got = ERROR
    assert text(got) == text(expected[BACKEND])


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients(name):
    skip_left_out("gradients")
    function, x, expected = GRADIENTS[name]
    got = gradient(function, np.array(x, "float32")).tolist()
    assert text(got) == text(expected[BACKEND])


@pytest.mark.skipif(not PAGE.exists(), reason="the pages are not here")
@pytest.mark.parametrize("name", [*VALUES, *GRADIENTS])
def test_the_page_has_it(name):
    assert f"| {name} |" in PAGE.read_text(encoding="utf-8")
