"""The one time loop, by what its step function is asked for."""

import keras
import numpy as np
import pytest
from keras import ops

from kseq.agreement import probes
from kseq.layers.sequence import DynamicGRU
from kseq.ops import recurrence
from tests.ops.compute import BACKEND, needs_gradients


@pytest.fixture
def steps_written(monkeypatch):
    """A list that grows when Python runs the GRU's step."""
    calls = []

    def counted(x):
        calls.append(x)
        return ops.tanh(x)

    monkeypatch.setattr(recurrence, "tanh", counted)
    return calls


def gru(steps, units):
    """A layer, built, and its inputs; each test has units of its own."""
    layer = DynamicGRU(units)
    layer.build([(2, steps, 3), (2,)])
    x = np.ones((2, steps, 3), "float32")
    return layer, [ops.convert_to_tensor(x), ops.convert_to_tensor([steps, 1])]


@needs_gradients
def test_what_is_compiled_does_not_grow_with_the_steps(steps_written):
    if BACKEND == "torch":
        pytest.skip("PyTorch runs a loop of Python")
    written = []
    for steps in (4, 40):
        steps_written.clear()
        layer, inputs = gru(steps, units=6)
        cotangents = [ops.ones((2, steps, 6))]
        probes.gradients(layer, inputs, {}, cotangents, compiled=True)
        written.append(len(steps_written))
    few, many = written
    assert 0 < few == many < 10


def test_an_eager_call_compiles_once(steps_written):
    if BACKEND != "jax":
        pytest.skip("only JAX's loop is compiled where it is called eagerly")
    layer, inputs = gru(steps=5, units=7)
    expected = ops.convert_to_numpy(layer(inputs))
    assert len(steps_written) == 1
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(inputs)), expected)
    another, inputs = gru(steps=5, units=7)
    another(inputs)
    assert len(steps_written) == 1


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


def test_the_form_is_the_backend_s():
    form = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}
    module = form.get(keras.backend.backend(), "unrolled")
    assert recurrence.loop.__module__ == f"kseq.ops.backends.{module}_loop"
