"""Which form of a computation is used: no result depends on it."""

import keras
import pytest
from keras import ops

from kseq.agreement import probes
from kseq.ops import gru, recurrence
from tests.ops.compute import BACKEND, tensor
from tests.ops.examples import BY_NAME


def tensors_of(name, **sizes):
    arrays = BY_NAME[name].arrays("float32", **sizes)
    return keras.tree.map_structure(lambda x: tensor(x, "float32"), arrays)


@pytest.fixture
def traced(monkeypatch):
    """A list that grows when Python runs the GRU's step."""
    calls = []

    def counted(x):
        calls.append(x)
        return ops.tanh(x)

    monkeypatch.setattr(recurrence, "tanh", counted)
    return calls


@pytest.mark.skipif(
    BACKEND not in ("jax", "tensorflow"), reason="it does not trace the loop"
)
def test_a_graph_does_not_grow_with_the_steps(traced):
    def outputs(tensors):
        return gru(**tensors)[0]

    lengths = []
    for steps in (3, 6):
        traced.clear()
        ones = [ops.ones((4, steps, 6))]
        tensors = tensors_of("gru", steps=steps, units=6)
        probes.gradients(outputs, (tensors,), {}, ones, compiled=True)
        lengths.append(len(traced))
    few, many = lengths
    assert 0 < few == many < 20


@pytest.mark.skipif(BACKEND != "jax", reason="only JAX compiles eager calls")
def test_eager_calls_are_compiled_once(traced):
    for _ in range(2):
        gru(**tensors_of("gru", steps=5, units=7))
        assert len(traced) == 1
