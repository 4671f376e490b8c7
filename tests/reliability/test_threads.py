"""One model in several threads, two models in one process.

What Keras promises here is little: docs/serving.md says what was found.
"""

import ast
import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest

import kseq
from kseq.agreement.cases import Case
from kseq.agreement.measure import dtype_scope, measure
from kseq.agreement.numbers import seed_weights
from kseq.layers.core import DNN
from kseq.layers.sequence import (
    AttentionSequencePoolingLayer,
    SequencePoolingLayer,
)
from tests.arrays import to_numpy
from tests.layers.examples import (
    BY_NAME,
    everything,
    model_inputs,
    wide,
    with_steps,
)

BACKEND = keras.backend.backend()
THREADS = 4
# One of each kind: JAX compiles each operation for each number of steps.
SHARED = [
    BY_NAME[name]
    for name in (
        "k-max",
        "attention-dice",
        "augru-last",
        "position-encoding",
        "transformer-sequence",
    )
]
# OpenVINO compiles at every call; on TensorFlow a predict is slow to begin.
ROUNDS = {"openvino": 1, "tensorflow": 2}.get(BACKEND, 4)
# Keras's predict hands a model's variables on to its compiled function on JAX,
# and keeps one compiled model on OpenVINO: nobody else may be at it.
NEEDS_LOCK = ("jax", "openvino")
trains = pytest.mark.skipif(
    BACKEND in ("numpy", "openvino"), reason="the backend does not train"
)


def at_once(work, count=THREADS):
    """What `work(0)` to `work(count - 1)` give, each in a thread of its own."""
    start = threading.Barrier(count)

    def begin(i):
        start.wait()
        return work(i)

    with ThreadPoolExecutor(count) as pool:
        return [*pool.map(begin, range(count))]


def requests(model):
    """Inputs of different numbers and two numbers of steps."""
    found = []
    for i in range(THREADS):
        steps = (5, 3)[i % 2]
        rng = np.random.default_rng(i)
        arrays = {
            name: rng.normal(size=x.shape).astype(x.dtype)
            for name, x in with_steps(steps).items()
        }
        lengths = rng.integers(0, steps + 1, len(arrays["x"]))
        found.append(model_inputs(model, arrays, lengths))
    return found


def assert_same(got, expected, tolerance=1e-6):
    assert got.keys() == expected.keys()
    for name, output in got.items():
        np.testing.assert_allclose(
            output, expected[name], tolerance, tolerance, err_msg=name
        )


def outputs(model, inputs):
    return {name: wide(x) for name, x in model(inputs).items()}


@pytest.fixture(scope="module")
def model():
    return everything(examples=SHARED)


@pytest.fixture(scope="module")
def alone(model):
    """What it gives for each request, one after another."""
    given = requests(model)
    return given, [outputs(model, inputs) for inputs in given]


def test_one_model_called_from_threads(model, alone):
    given, expected = alone

    def work(i):
        for n in range(ROUNDS):
            at = (i + n) % THREADS
            assert_same(outputs(model, given[at]), expected[at])

    at_once(work)


def predict_alone(inputs):
    found = everything(examples=SHARED).predict(inputs, verbose=0)
    return {name: wide(x) for name, x in found.items()}


def test_one_model_predicts_from_threads(alone):
    """A new one: its first calls, which make the function, come together."""
    fresh = everything(examples=SHARED)
    given, expected = alone
    lock = threading.Lock() if BACKEND in NEEDS_LOCK else None
    if BACKEND == "openvino":  # its predict may compute in bfloat16
        expected = [predict_alone(inputs) for inputs in given]
    ways = (
        lambda inputs: fresh.predict(inputs, verbose=0),
        fresh.predict_on_batch,
    )

    def work(i):
        for n in range(2 * ROUNDS):
            at = (i + n) % THREADS
            with lock or contextlib.nullcontext():
                got = ways[n >= ROUNDS](given[at])
            got = {name: wide(x) for name, x in got.items()}
            # Compiled, it rounds elsewhere.
            assert_same(got, expected[at], 1e-5)

    at_once(work)


# Several models.


def test_models_built_in_threads_at_once():
    """As one that is built alone; Keras counts names by the thread."""

    def work(_):
        made = everything(examples=SHARED)
        return [w.path for w in made.weights], outputs(made, model_inputs(made))

    paths, expected = work(0)
    for found, got in at_once(work, 3):
        assert found == paths
        assert_same(got, expected)


def trained(policy, seed):
    """A small model whose layers keep statistics and draw numbers."""
    x, query = keras.Input((5, 3), name="x"), keras.Input((1, 3), name="q")
    lengths = keras.Input((1,), dtype="int32", name="lengths")
    options = {"dtype": policy}
    y = AttentionSequencePoolingLayer((4,), "dice", name="pool", **options)(
        [query, x, lengths]
    )
    y = DNN((3,), dropout_rate=0.3, name="dnn", **options)(y)
    y = keras.layers.Dense(1, name="out", **options)(y)
    made = keras.Model([x, query, lengths], y, name="model")
    seed_weights(made, seed)
    made.compile(keras.optimizers.SGD(0.5), "mse")
    return made


def steps_of(model, seed):
    """Trains it, a step each time it is asked; gives its loss."""
    rng = np.random.default_rng(seed)
    while True:
        x = [rng.normal(size=(4, n, 3)).astype("float32") for n in (5, 1)]
        lengths = rng.integers(0, 6, (4, 1)).astype("int32")
        y = rng.normal(size=(4, 1, 1)).astype("float32")
        yield float(model.train_on_batch([*x, lengths], y))


@trains
def test_two_models_trained_in_turn():
    """Of one name and two dtypes: as each alone."""
    kinds = (("float32", 1), ("mixed_bfloat16", 2))
    alone = []
    for policy, seed in kinds:
        model = trained(policy, seed)
        steps = steps_of(model, seed)
        losses = [next(steps) for _ in range(4)]
        alone.append((losses, model.get_weights()))
    models = [trained(policy, seed) for policy, seed in kinds]
    steps = [
        steps_of(model, seed)
        for model, (_, seed) in zip(models, kinds, strict=True)
    ]
    turns = [[next(each) for each in steps] for _ in range(4)]
    for model, losses, (expected, weights) in zip(
        models, zip(*turns, strict=True), alone, strict=True
    ):
        assert [*losses] == expected
        assert len(set(losses)) == 4
        for got, wanted in zip(model.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(got, wanted)


# Keras's settings.


def test_settings_of_a_thread():
    """floatx is the process's, a dtype policy the thread's that set it."""

    def work(_):
        return keras.config.floatx(), keras.config.dtype_policy().name

    with dtype_scope("float16"):
        assert keras.config.dtype_policy().name == "float16"
        assert at_once(work, 1) == [("float32", "float32")]


def test_a_dtype_s_scope_is_one_thread_s():
    before = keras.config.floatx()

    def work(i):
        dtype = ("float64", "float32")[i % 2]
        for _ in range(5):
            with dtype_scope(dtype):
                time.sleep(0.001)  # the others would like to
                assert keras.config.floatx() == dtype
                assert keras.config.dtype_policy().name == dtype

    at_once(work)
    assert keras.config.floatx() == before


def test_cases_measured_in_threads():
    """Each under its own dtype, though floatx is the process's."""
    x = np.linspace(-1.0, 1.0, 24).reshape(2, 4, 3)
    lengths = np.array([4, 2])
    case = Case("pool", lambda: (SequencePoolingLayer("mean"), [x, lengths]))
    dtypes = ("float32", "float64", "float16", "float32")
    alone = {d: measure(case, d, "forward")["output 0"] for d in dtypes}

    def work(i):
        return measure(case, dtypes[i], "forward")["output 0"]

    for dtype, got in zip(dtypes, at_once(work), strict=True):
        assert got.dtype == alone[dtype].dtype
        np.testing.assert_array_equal(to_numpy(got), to_numpy(alone[dtype]))


# Nothing is kept from one call to the next.


def written_outside_of_build(source):
    """Methods that assign to an attribute of self, but for these two."""
    return [
        f"{method.name}, line {node.lineno}"
        for method in ast.walk(ast.parse(source))
        if isinstance(method, ast.FunctionDef)
        and method.name not in ("__init__", "build")
        for node in ast.walk(method)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    ]


LAYERS = sorted((Path(kseq.__file__).parent / "layers").rglob("*.py"))


@pytest.mark.parametrize("path", LAYERS, ids=lambda path: path.stem)
def test_no_layer_writes_in_its_call(path):
    assert not written_outside_of_build(path.read_text(encoding="utf-8"))


def test_a_write_would_be_seen():
    text = "class A:\n    def call(self, x):\n        self.x, y = x, x"
    assert written_outside_of_build(text) == ["call, line 3"]
