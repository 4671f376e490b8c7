"""The time loop of each backend."""

import keras
import numpy as np
import pytest
from keras import ops

from kseq.agreement import probes
from kseq.ops import gru, recurrence
from tests.ops.compute import BACKEND, tensor
from tests.ops.examples import BY_NAME


@pytest.fixture
def traced(monkeypatch):
    """A list that grows when Python runs the GRU's step."""
    calls = []

    def counted(x):
        calls.append(x)
        return ops.tanh(x)

    monkeypatch.setattr(recurrence, "tanh", counted)
    return calls


def arrays(steps, units):
    """Arguments of a GRU; each test has its own units."""
    sized = BY_NAME["gru"].arrays("float32", steps=steps, units=units)
    convert = keras.tree.map_structure
    return convert(lambda x: tensor(x, "float32"), sized)


@pytest.mark.skipif(BACKEND not in ("jax", "tensorflow"), reason="no graph")
def test_a_graph_does_not_grow_with_the_steps(traced):
    def outputs(tensors):
        return gru(**tensors)[0]

    lengths = []
    for steps in (3, 6):
        traced.clear()
        ones = [ops.ones((4, steps, 6))]
        tensors = arrays(steps, units=6)
        probes.gradients(outputs, tensors, {}, ones, compiled=True)
        lengths.append(len(traced))
    few, many = lengths
    assert 0 < few == many < 20


@pytest.mark.skipif(BACKEND != "jax", reason="it compiles no eager calls")
def test_eager_calls_are_compiled_once(traced):
    for _ in range(2):
        gru(**arrays(steps=5, units=7))
        assert len(traced) == 1


def test_no_steps_leave_the_states():
    x = ops.zeros((2, 0, 3))
    first = ops.ones((2, 3))
    outputs, (last,) = recurrence.loop(
        lambda inputs, states, weights: (states[0] + inputs[0],),
        (x,),
        (first,),
        (),
    )
    assert tuple(outputs.shape) == (2, 0, 3)
    np.testing.assert_array_equal(ops.convert_to_numpy(last), 1)


@pytest.mark.parametrize("valid", [None, np.ones((2, 3), bool)])
def test_outputs_are_the_first_state_after_each_step(valid):
    x = np.arange(12.0, dtype="float32").reshape(2, 3, 2)
    outputs, states = recurrence.loop(
        lambda inputs, states, weights: (
            states[0] + inputs[0] * weights[0],
            states[1] + 1,
        ),
        (ops.convert_to_tensor(x),),
        (ops.zeros((2, 2)), ops.zeros((2, 1))),
        (ops.convert_to_tensor(np.float32(2)),),
        valid=None if valid is None else ops.convert_to_tensor(valid),
    )
    sums = 2 * np.cumsum(x, axis=1)
    np.testing.assert_array_equal(ops.convert_to_numpy(outputs), sums)
    np.testing.assert_array_equal(ops.convert_to_numpy(states[0]), sums[:, -1])
    np.testing.assert_array_equal(ops.convert_to_numpy(states[1]), 3)


def test_each_backend_has_its_own_loop():
    form = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}
    module = form.get(keras.backend.backend(), "unrolled")
    assert recurrence.loop.__module__ == f"kseq.ops.backends.{module}_loop"
